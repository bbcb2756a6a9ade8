"""Redact tables in JSON with a list of column names: `{"columns": ["user", "password"], "rows": [["bob", "…"]]}`.

APIs of databases respond with these (Trino, InfluxDB, Neo4j, BigQuery); `{"names": […], "values": […]}` is one row.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.json_values import plain_text
from proxy_policies.capture.secrets.names import Grade

_COLUMNS = frozenset(("columns", "columnnames", "column_names", "cols", "fields", "headers", "header", "names", "keys"))
_ROWS = frozenset(("rows", "values", "data", "records", "datarows"))
_COLUMNS_START = re.compile(rf'"(?i:{"|".join(sorted(_COLUMNS))})"\s*+:\s*+(?=\[)')
_ROWS_START = re.compile(rf'"(?i:{"|".join(sorted(_ROWS))})"\s*+:\s*+(?=\[)')
_PIECE = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*+)(?:"|\Z)|[\[\]{},]', re.DOTALL)
_NAME_MEMBER = re.compile(r'"(?:name|column_name|columnName|field)"\s*+:\s*+\Z')
_NAME_MEMBER_LENGTH = 40  # characters before a string that are searched for it
_CELL_DEPTHS = {"[": 0, "[[": 1, "[{[": 2}
"""The depth of the brackets whose commas number the cells: of a row, of rows, of Neo4j's `[{"row": […]}]`."""

type _Item = tuple[str, list[int], re.Match[str]]
"""The brackets around a string, the number of commas before it in each, and its match."""


def has_columns(names: Iterable[str]) -> bool:
    """Return whether these names of members include one of column names and one of rows."""
    lower = {name.lower() for name in names}
    return not (lower.isdisjoint(_COLUMNS) or lower.isdisjoint(_ROWS))


def in_columns(text: str, decider: Decider) -> str:
    """Replace the cells of columns with secret names, in the next rows, or in the rows before if there are none."""
    starts = [found.end() for found in _ROWS_START.finditer(text)]
    pieces: list[str] = []
    done = read = 0
    for columns in _COLUMNS_START.finditer(text):
        if columns.end() < read:  # nested in another list
            continue
        names, read = _names(text, columns.end(), decider)
        after = bisect_left(starts, read)
        rows = starts[after] if after < len(starts) else starts[-1] if starts else -1
        if not names or rows < done:
            continue
        cells, end = _cells(text, rows, names)
        for name, cell in cells:
            pieces += (text[done : cell.start("text")], _replaced(name, cell, decider))
            done = cell.end("text")
        pieces.append(text[done:end])
        done = end
    return "".join((*pieces, text[done:]))


def _names(text: str, at: int, decider: Decider) -> tuple[dict[int, str], int]:
    """Return the secret names of columns by their number, and the index of the end of the list of names."""
    names: dict[int, str] = {}
    end = at + 1
    for brackets, commas, item in _items(text, at):
        before = text[max(at, item.start() - _NAME_MEMBER_LENGTH) : item.start()]
        if brackets == "[" or (brackets == "[{" and _NAME_MEMBER.search(before)):
            names[commas[0]] = plain_text(item["text"], 0)
        end = item.end()
    return {number: name for number, name in names.items() if decider.grade(name, Place.MEMBER) > Grade.NONE}, end


def _cells(text: str, at: int, names: dict[int, str]) -> tuple[list[tuple[str, re.Match[str]]], int]:
    """Return the cells of these columns, each with its name, and the index of the end of the last string."""
    cells = []
    end = at + 1
    for brackets, commas, item in _items(text, at):
        if brackets in _CELL_DEPTHS and (name := names.get(commas[_CELL_DEPTHS[brackets]])) is not None:
            cells.append((name, item))
        end = item.end()
    return cells, end


def _items(text: str, at: int) -> Iterator[_Item]:
    """Yield the strings in the list at `at`; an incomplete list is read up to its end."""
    brackets: list[str] = []
    commas: list[int] = []
    for piece in _PIECE.finditer(text, at):
        if piece["text"] is not None:
            yield "".join(brackets[:4]), commas, piece
        elif piece[0] == ",":
            commas[-1] += 1
        elif piece[0] in "[{":
            brackets.append(piece[0])
            commas.append(0)
        else:
            brackets.pop()
            commas.pop()
            if not brackets:
                return


def _replaced(name: str, cell: re.Match[str], decider: Decider) -> str:
    plain = plain_text(cell["text"], 0)
    replaced = decider.replace(name, plain)
    return cell["text"] if replaced == plain else replaced
