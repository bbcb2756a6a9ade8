"""Tables whose first row has the names of their columns, as their cells in a text, in any notation."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.names import Grade
from proxy_policies.capture.secrets.values import is_random

type TextSpan = tuple[int, int]
"""The indexes of a cell's start and end in a text."""


@dataclass(frozen=True, slots=True)
class ColumnTable:
    """The names of columns, and the cells of each row."""

    names: Sequence[str]
    rows: Sequence[Sequence[TextSpan]]
    is_data: bool
    """False if it may also be written for people, as in Markdown."""
    plain: Callable[[str], str] = str
    """Returns the value that is written in a cell in this notation."""


def in_tables(text: str, tables: Iterable[ColumnTable], decider: Decider) -> str:
    """Replace the cells of columns with secret names; where tables overlap, those of the first."""
    found = sorted((cell for table in tables for cell in _replaced_cells(text, table, decider)), key=itemgetter(0))
    pieces: list[str] = []
    done = 0
    for (start, end), replaced in found:
        if start >= done:
            pieces += (text[done:start], replaced)
            done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _replaced_cells(text: str, table: ColumnTable, decider: Decider) -> Iterator[tuple[TextSpan, str]]:
    """Yield the cells with secrets, each with its placeholder."""
    for number, name in enumerate(table.names):
        grade = decider.grade(name, Place.MEMBER)
        if grade is Grade.NONE or decider.is_kept(name):
            continue
        column = [row[number] for row in table.rows if number < len(row) and row[number][0] < row[number][1]]
        values = [table.plain(text[start:end]) for start, end in column]
        is_data = table.is_data or (grade is Grade.PASSWORD and _are_values(values))
        for span, value in zip(column, values, strict=True):
            if is_data or not _has_space(value):
                replaced = decider.replace(name, value, Place.MEMBER if is_data else Place.CODE)
                yield from [(span, replaced)] if replaced != value else ()


def _are_values(cells: Sequence[str]) -> bool:
    """Return whether the cells of a column are values and no texts: one word each, and a digit or a random one."""
    has_value = any(is_random(cell) or any(map(str.isdigit, cell)) for cell in cells)
    return has_value and not any(map(_has_space, cells))


def _has_space(cell: str) -> bool:
    return len(cell.split()) > 1


def cells_between(text: str, borders: Iterable[int]) -> list[TextSpan]:
    """Return the cells between each two of these indexes, the second of which is that of a delimiter."""
    return [stripped(text, start + 1, end) for start, end in pairwise(borders)]


def stripped(text: str, start: int, end: int) -> TextSpan:
    """Return a cell without the spaces, quotes and backticks around it."""
    cell = text[start:end]
    inner = cell.strip(" \t\r")
    quote = inner[:1]
    if quote in ('"', "'", "`") and inner.endswith(quote) and len(inner) > 1:
        inner = inner[1:-1]
    begin = start + cell.find(inner)
    return begin, begin + len(inner)
