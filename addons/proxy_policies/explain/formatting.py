"""What the policies did with a flow, in plain words. Pure: notes in, text out."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from proxy_policies.log_lines import printable

if TYPE_CHECKING:
    from proxy_policies.trace import Note

VERDICT_LIMIT = 160
"""Characters: a verdict is one line in a table."""
WIDTH = 76
"""Characters per line beside the list of flows."""
NOTHING = "No policy has decided anything about this flow."

REFUSED = "refused"
TELLING = ("proxy", "passthrough", "replay", "cache")
"""The policies whose verdict may be the outcome, most informative first."""
OUTCOMES: Mapping[tuple[str, str], str] = {
    ("cache", "stored"): "miss",
    ("cache", "not stored"): "miss",
    ("cache", "updated"): "miss",
    ("cache", "goes on"): "miss",
    ("passthrough", "closed"): "untouched",
}
"""The outcome of a flow for verdicts that are not the outcome themselves."""


Verdicts = tuple[tuple[str, str], ...]
"""Policies and their verdicts, in order."""


def verdicts_of(notes: Sequence[Note]) -> Verdicts:
    """Return the verdicts of decisions."""
    return tuple([(note["policy"], note["verdict"]) for note in notes])


def summary(notes: Sequence[Note]) -> str:
    """Return one short line with the outcome and every verdict: `miss · cache: stored · encoding: zstd`.

    The outcome comes first, because columns are narrow: hit, stale, miss, refused, untouched, failed and so on. If a
    policy decided more than once, its last verdict counts. "" if no policy decided anything.
    """
    return _summary(verdicts_of(notes))


@lru_cache(maxsize=256)
def _summary(verdicts: Verdicts) -> str:
    last = dict(verdicts)
    told = [f"{policy}: {verdict}" for policy, verdict in last.items()]
    line = printable(" · ".join(filter(None, [outcome(last), *told])))
    return line if len(line) <= VERDICT_LIMIT else line[: VERDICT_LIMIT - 1] + "…"


def outcome(verdicts: Mapping[str, str]) -> str:
    """Return a flow's outcome in one word, from each policy's last verdict; "" if they do not tell."""
    if REFUSED in verdicts.values():
        return REFUSED
    said = [(policy, verdicts[policy]) for policy in TELLING if policy in verdicts]
    return OUTCOMES.get(said[0], said[0][1]) if said else ""


def format_notes(notes: Sequence[Note]) -> list[str]:
    """Return all decisions, one line each, oldest first, with the policies' names in a column."""
    width = max((len(note["policy"]) for note in notes), default=0)
    return [printable(f"{note['policy']:<{width}}  {_decision(note)}") for note in notes] or [NOTHING]


def failure(message: str) -> str:
    """Return why an exchange failed, with a hint if mitmproxy gives none."""
    if "certificate verify failed" in message.lower():
        return f"{message}; --set ssl_verify_upstream_trusted_ca=FILE names the CA to trust"
    return message


def wrapped(notes: Sequence[Note]) -> str:
    """Return all decisions, in lines short enough for mitmweb's narrow pane."""
    indent = 2 + max((len(note["policy"]) for note in notes), default=0)
    return "\n".join(
        textwrap.fill(line, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
        for line in format_notes(notes)
    )


def _decision(note: Mapping[str, Any]) -> str:
    because = f": {note['why']}" if note["why"] else ""
    facts = [
        f"{name.replace('_', ' ')} {_fact(value)}"
        for name, value in note.items()
        if name not in ("policy", "verdict", "why")
    ]
    return f"{note['verdict']}{because}{f' ({", ".join(facts)})' if facts else ''}"


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value is None else str(value)
