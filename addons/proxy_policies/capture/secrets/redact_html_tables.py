"""Redact tables of HTML whose first row has the names of the columns."""

import html
import re
from collections.abc import Iterator, Sequence

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.tables import ColumnTable, TextSpan, in_tables, stripped

_TAG = re.compile(r"<(?P<tag>table|tr|th|td)\b[^<>]{0,500}>", re.IGNORECASE)
_CELL = re.compile(r"\s*+(?:<(?!/|t[hdr]\b)\w{1,9}\b[^<>]{0,200}>\s*+){0,3}+(?P<text>[^<>]*)")
"""The first text of a cell, which may be in other elements, such as `code`."""


def in_html_tables(text: str, decider: Decider) -> str:
    """Replace the cells of columns with secret names."""
    tables = [
        ColumnTable(_names(text, rows[0]), rows[1:], False, html.unescape) for rows in _tables(text) if len(rows) > 1
    ]
    return in_tables(text, tables, decider) if tables else text


def _names(text: str, row: Sequence[TextSpan]) -> list[str]:
    return [text[start:end].strip(":* ") for start, end in row]


def _tables(text: str) -> Iterator[list[list[TextSpan]]]:
    """Yield the rows of each table; a table in a cell ends the table around it."""
    rows: list[list[TextSpan]] = []
    for found in _TAG.finditer(text):
        tag = found["tag"].lower()
        if tag == "table":
            yield rows
            rows = []
        elif tag == "tr":
            rows.append([])
        elif rows and (cell := _CELL.match(text, found.end())) is not None:
            rows[-1].append(stripped(text, *cell.span("text")))
    yield rows
