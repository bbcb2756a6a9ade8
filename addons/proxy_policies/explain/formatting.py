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
"""Characters a line has beside the list of flows."""
NOTHING = "No policy has decided anything about this flow."

REFUSED = "refused"
TELLING = ("proxy", "passthrough", "replay", "cache")
"""The policies of whose verdicts one is the outcome, most telling first."""
OUTCOMES: Mapping[tuple[str, str], str] = {
    ("cache", "stored"): "miss",
    ("cache", "not stored"): "miss",
    ("cache", "updated"): "miss",
    ("cache", "goes on"): "miss",
    ("passthrough", "closed"): "untouched",
}
"""What came of a flow where that is not the verdict itself."""


def summary(notes: Sequence[Note]) -> str:
    """Return one short line with the outcome and every verdict: `miss · cache: stored · encoding: zstd`.

    The outcome comes first, for a column is narrow: hit, stale, miss, refused, untouched, failed and their like. Where
    a policy decided more than once, its last word counts. "" when no policy decided anything.
    """
    return _summary(tuple([(note["policy"], note["verdict"]) for note in notes]))


@lru_cache(maxsize=256)
def _summary(verdicts: tuple[tuple[str, str], ...]) -> str:
    last = dict(verdicts)
    told = [f"{policy}: {verdict}" for policy, verdict in last.items()]
    line = printable(" · ".join(filter(None, [outcome(last), *told])))
    return line if len(line) <= VERDICT_LIMIT else line[: VERDICT_LIMIT - 1] + "…"


def outcome(verdicts: Mapping[str, str]) -> str:
    """Return what came of a flow in a word, from each policy's last verdict; "" where those say nothing of it."""
    if REFUSED in verdicts.values():
        return REFUSED
    said = [(policy, verdicts[policy]) for policy in TELLING if policy in verdicts]
    return OUTCOMES.get(said[0], said[0][1]) if said else ""


def format_notes(notes: Sequence[Note]) -> list[str]:
    """Return everything, one line for each decision, oldest first, the policies' names in a column."""
    width = max((len(note["policy"]) for note in notes), default=0)
    return [printable(f"{note['policy']:<{width}}  {_decision(note)}") for note in notes] or [NOTHING]


def failure(message: str) -> str:
    """Return why an exchange failed, with what would help where mitmproxy does not say it."""
    if "certificate verify failed" in message.lower():
        return f"{message}; --set ssl_verify_upstream_trusted_ca=FILE names the CA to trust"
    return message


def wrapped(notes: Sequence[Note]) -> str:
    """Return everything, in lines short enough for mitmweb's narrow pane."""
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
