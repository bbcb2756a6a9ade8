"""Secrets in JSON that names its columns once: `{"columns": ["user", "password"], "rows": [["bob", "…"]]}`.

So do databases' interfaces answer (Trino, InfluxDB, Neo4j, BigQuery), and `{"names": […], "values": […]}` is one row.
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
_NAME_MEMBER_LENGTH = 40  # characters before a text in which it is looked for
_CELL_DEPTHS = {"[": 0, "[[": 1, "[{[": 2}
"""In which of the brackets around it a cell is counted: one row, rows, and Neo4j's `[{"row": […]}]`."""

type Item = tuple[str, list[int], re.Match[str]]
"""A text with the brackets around it, and the commas before it in each."""


def has_columns(names: Iterable[str]) -> bool:
    """Return whether members of these names have columns, and rows of them."""
    lower = {name.lower() for name in names}
    return not (lower.isdisjoint(_COLUMNS) or lower.isdisjoint(_ROWS))


def in_columns(text: str, decider: Decider) -> str:
    """Replace the cells of columns whose names make them secret, in the rows that come next, else in those before."""
    starts = [found.end() for found in _ROWS_START.finditer(text)]
    pieces: list[str] = []
    done = read = 0
    for columns in _COLUMNS_START.finditer(text):
        if columns.end() < read:  # it is within another
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
    """Return which columns are called as a secret is, by their number, and where the list of the names ends."""
    names: dict[int, str] = {}
    end = at + 1
    for brackets, commas, item in _items(text, at):
        before = text[max(at, item.start() - _NAME_MEMBER_LENGTH) : item.start()]
        if brackets == "[" or (brackets == "[{" and _NAME_MEMBER.search(before)):
            names[commas[0]] = plain_text(item["text"], 0)
        end = item.end()
    return {number: name for number, name in names.items() if decider.grade(name, Place.MEMBER) > Grade.NONE}, end


def _cells(text: str, at: int, names: dict[int, str]) -> tuple[list[tuple[str, re.Match[str]]], int]:
    """Return the cells of these columns, each with its name, and where the last text in the rows ends."""
    cells = []
    end = at + 1
    for brackets, commas, item in _items(text, at):
        if brackets in _CELL_DEPTHS and (name := names.get(commas[_CELL_DEPTHS[brackets]])) is not None:
            cells.append((name, item))
        end = item.end()
    return cells, end


def _items(text: str, at: int) -> Iterator[Item]:
    """Yield the texts in the list at this place, one that is cut as far as it goes."""
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
