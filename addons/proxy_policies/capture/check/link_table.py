"""The links of a recording, in a temporary file: there may be more links than entries."""

from collections.abc import Iterator
from dataclasses import dataclass

from proxy_policies.capture.check.request_value_index import Position
from proxy_policies.capture.files.temporary_database import TemporaryDatabase, from_blob, to_blob

_TABLE = """
CREATE TABLE links (
    entry INTEGER, location INTEGER,
    source_entry INTEGER, source BLOB, target_entry INTEGER, target BLOB, value BLOB,
    PRIMARY KEY (entry, location)
) WITHOUT ROWID;
CREATE INDEX by_source ON links (source_entry);
CREATE INDEX by_target ON links (target_entry)
"""
_SELECT = "SELECT source_entry, source, target_entry, target, value FROM links"
_ADD = "INSERT OR REPLACE INTO links VALUES (?, ?, ?, ?, ?, ?, ?)"
_ADD_FALLBACK = "INSERT OR IGNORE INTO links VALUES (?, ?, ?, ?, ?, ?, ?)"
_ORDER = "ORDER BY entry, location"


@dataclass(frozen=True, slots=True)
class Link:
    """The value at `source` in the response of one entry, which the request of a later one has at `target`."""

    source_entry: int
    source: str
    target_entry: int
    target: str
    value: str

    def __str__(self) -> str:
        return f"entry {self.source_entry + 1} {self.source} → entry {self.target_entry + 1} {self.target}"


class LinkTable:
    """Links, in the order of their positions in requests."""

    def __init__(self) -> None:
        self._table = TemporaryDatabase(_TABLE)

    def add(self, position: Position, link: Link, is_fallback: bool = False) -> None:
        """Add the link to a position, in place of one that it has, unless it `is_fallback`.

        Raise OSError if the disk is full.
        """
        texts = (link.source_entry, to_blob(link.source), link.target_entry, to_blob(link.target))
        self._table.execute(_ADD_FALLBACK if is_fallback else _ADD, (*position, *texts, to_blob(link.value)))

    def __iter__(self) -> Iterator[Link]:
        """Yield all links."""
        return map(_link, self._table.rows(f"{_SELECT} {_ORDER}"))

    def sources_in(self, number: int) -> set[str]:
        """Return the locations in the response of an entry that links begin at."""
        rows = self._table.rows("SELECT DISTINCT source FROM links WHERE source_entry = ?", (number,))
        return {from_blob(source) for (source,) in rows}

    def to_entry(self, number: int) -> list[Link]:
        """Return the links to the request of an entry."""
        return [_link(row) for row in self._table.rows(f"{_SELECT} WHERE target_entry = ? {_ORDER}", (number,))]


def _link(row: tuple[int, bytes, int, bytes, bytes]) -> Link:
    source_entry, source, target_entry, target, value = row
    return Link(source_entry, from_blob(source), target_entry, from_blob(target), from_blob(value))
