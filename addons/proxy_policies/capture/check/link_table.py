"""Which value goes from which response to which request, kept in a file: there may be more links than entries."""

from collections.abc import Iterator
from dataclasses import dataclass

from proxy_policies.capture.check.handed_back import Place
from proxy_policies.capture.temporary_database import TemporaryDatabase, as_octets, as_text

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
_ORDER = "ORDER BY entry, location"


@dataclass(frozen=True, slots=True)
class Link:
    """What entry `source_entry` handed out at one location is handed back by entry `target_entry` at another."""

    source_entry: int
    source: str
    target_entry: int
    target: str
    value: str

    def __str__(self) -> str:
        return f"entry {self.source_entry + 1} {self.source} → entry {self.target_entry + 1} {self.target}"


class LinkTable:
    """Links, in the order of the places where values are handed back."""

    def __init__(self) -> None:
        self._table = TemporaryDatabase(_TABLE)

    def add(self, place: Place, link: Link) -> None:
        """Add the link to a place, which has no other. Raises OSError when there is no room."""
        texts = (link.source_entry, as_octets(link.source), link.target_entry, as_octets(link.target))
        self._table.execute("INSERT INTO links VALUES (?, ?, ?, ?, ?, ?, ?)", (*place, *texts, as_octets(link.value)))

    def __iter__(self) -> Iterator[Link]:
        """Yield all links."""
        return map(_link, self._table.rows(f"{_SELECT} {_ORDER}"))

    def from_entry(self, number: int) -> list[Link]:
        """Return the links of what the response of an entry hands out."""
        return [_link(row) for row in self._table.rows(f"{_SELECT} WHERE source_entry = ? {_ORDER}", (number,))]

    def to_entry(self, number: int) -> list[Link]:
        """Return the links of what the request of an entry hands back."""
        return [_link(row) for row in self._table.rows(f"{_SELECT} WHERE target_entry = ? {_ORDER}", (number,))]


def _link(row: tuple[int, bytes, int, bytes, bytes]) -> Link:
    source_entry, source, target_entry, target, value = row
    return Link(source_entry, as_text(source), target_entry, as_text(target), as_text(value))
