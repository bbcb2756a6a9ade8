"""Redact the values of columns with secret names in SQL: `INSERT INTO users (name, password) VALUES ('bob', '…')`."""

import re
from collections.abc import Iterator

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.marks import compile_marks, has_any
from proxy_policies.capture.secrets.tables import ColumnTable, TextSpan, cells_between, in_tables

_INSERT_MARKS = compile_marks("VALUES", "values", "VALUE", "Values")
_INSERT = re.compile(
    r"(?i:INTO)\s[^()\n]{1,200}\((?P<names>[^()]{1,4000})\)(?:\s|\\[nrt])*+(?i:VALUES?)(?:\s|\\[nrt])*+(?=\()"
)
_COPY = re.compile(r"COPY\s[^()\n]{1,200}\((?P<names>[^()]{1,4000})\) FROM stdin[^\n]{0,100}\n")
_STRING = r"'(?:[^'\\]|''|\\.)*+(?:'|\Z)"
_PIECE = re.compile(rf"{_STRING}|[(),]", re.DOTALL)
_QUOTED = re.compile(r"'(?P<text>(?:[^'\\]|''|\\.)*+)", re.DOTALL)
_NEXT_ROW = re.compile(r"(?:\s|\\[nrt])*+,(?:\s|\\[nrt])*+(?=\()")


def in_sql(text: str, decider: Decider) -> str:
    """Replace the strings in rows that are inserted, and the columns of PostgreSQL's COPY."""
    tables: list[ColumnTable] = []
    if has_any(text, _INSERT_MARKS):
        tables += _inserted(text)
    if "COPY " in text:
        tables += _copies(text)
    return in_tables(text, tables, decider) if tables else text


def _unquoted(text: str) -> str:
    return text.replace("''", "'")


def _names(text: str) -> list[str]:
    return [name.strip(" \t\r\n\\\"'`[]") for name in text.split(",")]


def _inserted(text: str) -> Iterator[ColumnTable]:
    done = 0
    for found in _INSERT.finditer(text):
        if found.end() < done:
            continue
        rows = []
        at: int | None = found.end()
        while at is not None:
            row, done = _row(text, at)
            rows.append(row)
            after = _NEXT_ROW.match(text, done)
            at = after.end() if after else None
        yield ColumnTable(_names(found["names"]), rows, True, _unquoted)


def _row(text: str, at: int) -> tuple[list[TextSpan], int]:
    """Return the strings of a row, empty for other values, and the index after it; a cut row ends with the text."""
    cells: list[TextSpan] = []
    depth, string = 0, None
    for piece in _PIECE.finditer(text, at):
        mark = piece[0]
        if mark[:1] == "'":
            string = string or piece
            continue
        depth += (mark == "(") - (mark == ")")
        if (mark == "," and depth == 1) or not depth:
            cells.append(_inner(string))
            string = None
        if not depth:
            return cells, piece.end()
    return [*cells, _inner(string)], len(text)


def _inner(string: re.Match[str] | None) -> TextSpan:
    quoted = _QUOTED.match(string[0]) if string else None
    return (string.start() + 1, string.start() + quoted.end()) if string and quoted else (0, 0)


def _copies(text: str) -> Iterator[ColumnTable]:
    done = 0
    for found in _COPY.finditer(text):
        if found.start() >= done:
            rows = list(_copied(text, found.end()))
            done = rows[-1][-1][1] if rows else found.end()
            yield ColumnTable(_names(found["names"]), rows, True)


def _copied(text: str, at: int) -> Iterator[list[TextSpan]]:
    """Yield the cells of each line; a line with a backslash and a dot ends them."""
    while at < len(text) and not text.startswith("\\.", at):
        end = text.find("\n", at) % (len(text) + 1)
        yield cells_between(text, [at - 1, *(tab for tab in range(at, end) if text[tab] == "\t"), end])
        at = end + 1
