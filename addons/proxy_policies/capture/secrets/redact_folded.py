"""Redact texts whose long lines are folded: iCalendar, vCard and LDIF (RFC 5545, 6350 and 2849)."""

import re
from collections.abc import Callable

FOLDED_START = re.compile(rb"(?i)\s*(?:BEGIN:V|dn:|version: 1\r?\n)")
_START = re.compile(FOLDED_START.pattern.decode())
_FOLD = re.compile(r"\r?\n[ \t]")
_LINE = re.compile(r"[^\n]*(?:\n[ \t][^\n]*)*\n?")


def has_folds(text: str) -> bool:
    """Return whether a text of one of these formats has a folded line."""
    return _START.match(text) is not None and _FOLD.search(text) is not None


def in_folded(text: str, redact: Callable[[str], str]) -> str:
    """Return a text with `redact` applied to its unfolded lines; a line without a secret stays as it was folded."""
    lines = _LINE.findall(text)
    plain = [_FOLD.sub("", line) for line in lines]
    replaced = _LINE.findall(redact("".join(plain)))
    if len(replaced) != len(lines):
        return "".join(replaced)
    return "".join([line if new == old else new for line, old, new in zip(lines, plain, replaced, strict=True)])
