"""Redact tables in texts: Markdown, output of databases and commands, delimited lines below a line of names.

A line with the secret name of a column is searched for; the lines after it are read while they have as many cells.
"""

import re
from collections.abc import Callable, Iterator

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.names import Grade
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER
from proxy_policies.capture.secrets.secret_words import secret_words
from proxy_policies.capture.secrets.tables import ColumnTable, TextSpan, cells_between, in_tables, stripped
from proxy_policies.capture.secrets.values import is_random

MAX_HEAD_LENGTH = 1000  # characters of a line of names; longer lines are no tables for people
_DELIMITERS = ("│", "|", "\t", ";", ",")
_FRAMED = ("│", "|")
"""Delimiters that may also be at both ends of a line."""
_RULE = re.compile(r"[\s|+:=_─━═┄│┃┌┐└┘├┤┬┴┼╒╕╘╛╞╡╤╧╪╔╗╚╝╠╣╦╩╬*-]+")
"""A line between rows."""
_NAME = re.compile(r"[^\W\d][\w.-]{0,60}(?: [\w.-]{1,60}){0,2}")
_COLUMN_NAME = re.compile(r"[\w.-]+")
_ALIGNED = re.compile(r"[^\s|]\S*(?: \S+)*")
"""A cell in a table whose columns are two or more spaces apart."""

type Cells = Callable[[int, int], list[TextSpan]]
"""Returns the cells of the line between two indexes."""


def in_text_tables(text: str, decider: Decider) -> str:
    """Replace the cells of columns with secret names."""
    tables = list(_tables(text, decider)) if "\n" in text else []
    return in_tables(text, tables, decider) if tables else text


def _tables(text: str, decider: Decider) -> Iterator[ColumnTable]:
    done = 0
    for at, _ in secret_words(text):
        if at < done:
            continue
        start = text.rfind("\n", max(done - 1, at - MAX_HEAD_LENGTH, 0), at) + 1
        end = text.find("\n", at, at + MAX_HEAD_LENGTH)
        if end < 0 or (not start and at > MAX_HEAD_LENGTH):
            continue
        done = end
        if (table := _table(text, start, end, decider)) is not None:
            yield table
            done = max(done, *(row[-1][1] for row in table.rows if row), end)


def _table(text: str, start: int, end: int, decider: Decider) -> ColumnTable | None:
    """Return the table whose names are in the line between two indexes, None if that is no line of names."""
    line = text[start:end]
    delimiter = next((mark for mark in _DELIMITERS if mark in line), "")
    cells = _delimited(text, delimiter) if delimiter else _aligned(text, start, end)
    spans = cells(start, end)
    names = [text[begin:stop] for begin, stop in spans]
    if len(names) < 2 or not all(map(_NAME.fullmatch, filter(None, names))):
        return None
    if any(map(_is_value, names)) or all(decider.grade(name, Place.MEMBER) is Grade.NONE for name in names):
        return None
    before = text.rfind("\n", max(0, start - MAX_HEAD_LENGTH), max(0, start - 1)) + 1
    if start and not _RULE.fullmatch(text, before, start) and len(cells(before, start - 1)) == len(names):
        return None  # in a table that began before
    rows = list(_rows(text, end, len(names), cells, is_aligned=not delimiter))
    is_data = delimiter in ("\t", ";", ",") and all(map(_COLUMN_NAME.fullmatch, names))
    return ColumnTable(names, rows, is_data, str if delimiter in _FRAMED else _unquoted) if rows else None


def _unquoted(cell: str) -> str:
    return cell.replace('""', '"')


def _is_value(cell: str) -> bool:
    return is_random(cell) or PLACEHOLDER.search(cell) is not None


def _rows(text: str, at: int, count: int, cells: Cells, is_aligned: bool) -> Iterator[list[TextSpan]]:
    while (start := at + 1) < len(text):
        at = text.find("\n", start) % (len(text) + 1)
        line = text[start:at].strip()
        if not line:
            return
        if _RULE.fullmatch(line):
            continue
        row = cells(start, at)
        is_cut = at == len(text) and len(row) < count
        if len(row) != count and not (is_aligned or is_cut):
            return
        yield row


def _delimited(text: str, delimiter: str) -> Cells:
    border = re.compile(re.escape(delimiter) if delimiter in _FRAMED else rf'{delimiter}|"(?:[^"\n]|"")*+"?')

    def cells(start: int, end: int) -> list[TextSpan]:
        borders = [found.start() for found in border.finditer(text, start, end) if found[0] == delimiter]
        spans = cells_between(text, [start - 1, *borders, end])
        if delimiter in _FRAMED and spans:
            first = 1 if spans[0][0] == spans[0][1] else 0
            last = -1 if len(spans) > 1 and spans[-1][0] == spans[-1][1] else None
            return spans[first:last]
        return spans

    return cells


def _aligned(text: str, start: int, end: int) -> Cells:
    """Return a function that returns the cells that begin where those of the line between these indexes begin."""
    columns = [found.start() - start for found in _ALIGNED.finditer(text, start, end)]

    def cells(begin: int, stop: int) -> list[TextSpan]:
        spans = []
        for column in columns:
            at = begin + column
            is_start = at < stop and (not column or text[at - 1] == " ")
            found = _ALIGNED.match(text, at, stop) if is_start else None
            spans.append(stripped(text, *found.span()) if found else (at, at))
        return spans if len(columns) > 1 else []

    return cells
