"""Redact columns with secret names in CSV (RFC 4180) and the like. All other characters are unchanged."""

import re

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.names import Grade

_LINE = re.compile(r'(?:"(?:[^"]|"")*+(?:"|\Z)|[^"\r\n])*+(?:\r?\n|\r|\Z)')
_NO_LETTER = re.compile(r"\W")
_NAME_AND_VALUE = ["name", "value"]
_HEAD = re.compile(
    r'[^\w"\r\n]{0,3}(?:"[\w .-]{1,100}"|[\w.-]{1,100})(?:[,;\t](?:"[\w .-]{1,100}"|[\w.-]{1,100}))+\r?\n'
)
_CELL = re.compile(r'(?P<before>^|[,;\t])(?P<cell>"(?:[^"]|"")*+(?:"|\Z)|[^,;\t"\r\n]*)')


def is_table(text: str) -> bool:
    """Return whether a text is a table: names in its first line, and as many cells in the second.

    The second line may be incomplete.
    """
    head = _HEAD.match(text)
    second = _LINE.match(text, head.end()) if head else None
    if head is None or second is None:
        return False
    columns, cells = len(_CELL.findall(head[0])), len(_CELL.findall(second[0]))
    return cells == columns or (cells < columns and second.end() == len(text))


def in_table(text: str, decider: Decider) -> str:
    """Replace the cells of columns with secret names."""
    head = _LINE.match(text)
    names = [_plain(found["cell"]) for found in _CELL.finditer(head[0])] if head else []
    has_secret_column = any(decider.grade(name, Place.MEMBER) is not Grade.NONE for name in names)
    if head is None or not (has_secret_column or _are_names_and_values(names)):
        return text
    rows = _LINE.sub(lambda line: _row(line[0], names, decider), text[head.end() :])
    return head[0] + rows


def _are_names_and_values(names: list[str]) -> bool:
    """Return whether the columns are a name and its value, ignoring a byte order mark."""
    return [_NO_LETTER.sub("", name).lower() for name in names] == _NAME_AND_VALUE


def _row(line: str, names: list[str], decider: Decider) -> str:
    cells = iter(names)
    if _are_names_and_values(names) and (first := _CELL.match(line)):
        cells = iter(["", _plain(first["cell"])])

    def cell(found: re.Match[str]) -> str:
        value = _plain(found["cell"])
        replaced = decider.replace(next(cells, ""), value)
        return found[0] if replaced == value else found["before"] + replaced

    return _CELL.sub(cell, line)


def _plain(cell: str) -> str:
    text = cell.strip().removeprefix("\ufeff")
    return text[1:].removesuffix('"').replace('""', '"') if text.startswith('"') else text
