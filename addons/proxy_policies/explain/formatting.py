"""What the policies did with a flow, in plain words. Pure: notes in, text out."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from proxy_policies.log_lines import printable

if TYPE_CHECKING:
    from proxy_policies.trace import Note

WIDTH = 76
"""Characters per line beside the list of flows."""
NOTHING = "No policy has decided anything about this flow."


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
