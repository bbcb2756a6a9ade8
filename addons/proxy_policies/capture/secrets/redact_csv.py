"""Secrets in tables (RFC 4180): in columns whose names make them secret. Every other character stays as it was."""

import re

from proxy_policies.capture.secrets.decide import Decider, Place
from proxy_policies.capture.secrets.names import Grade

_LINE = re.compile(r'(?:"(?:[^"]|"")*+(?:"|\Z)|[^"\r\n])*+(?:\r?\n|\r|\Z)')
_CELL = re.compile(r'(?P<before>^|[,;\t])(?P<cell>"(?:[^"]|"")*+(?:"|\Z)|[^,;\t"\r\n]*)')


def in_table(text: str, decider: Decider) -> str:
    """Replace the cells of columns whose names make them secret."""
    head = _LINE.match(text)
    names = [_plain(found["cell"]) for found in _CELL.finditer(head[0])] if head else []
    if head is None or all(decider.grade(name, Place.MEMBER) is Grade.NONE for name in names):
        return text
    rows = _LINE.sub(lambda line: _row(line[0], names, decider), text[head.end() :])
    return head[0] + rows


def _row(line: str, names: list[str], decider: Decider) -> str:
    cells = iter(names)

    def cell(found: re.Match[str]) -> str:
        value = _plain(found["cell"])
        replaced = decider.replace(next(cells, ""), value)
        return found[0] if replaced == value else found["before"] + replaced

    return _CELL.sub(cell, line)


def _plain(cell: str) -> str:
    text = cell.strip()
    return text[1:].removesuffix('"').replace('""', '"') if text.startswith('"') else text
