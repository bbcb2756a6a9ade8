"""What requests hand back, by value, while a recording is read from its end: kept in a file, which bounds memory."""

import hashlib

from proxy_policies.capture.locations import Location
from proxy_policies.capture.temporary_database import TemporaryDatabase, as_octets, as_text

type Place = tuple[int, int]
"""Where a value is handed back: which entry of the order, and which of its locations."""

BITS = 1 << 24
"""Of a table of hashes, which says of nearly every value that it is not there: 300 000 set one in 50 of its 2 MiB."""
_TABLE = """
CREATE TABLE handed_back (hash BLOB, entry INTEGER, location INTEGER, place BLOB, name BLOB, value BLOB);
CREATE INDEX by_hash ON handed_back (hash)
"""


class HandedBack:
    """Locations of requests by their values."""

    def __init__(self) -> None:
        self._bits = bytearray(BITS // 8)
        self._table = TemporaryDatabase(_TABLE)
        self._is_empty = True

    def __bool__(self) -> bool:
        return not self._is_empty

    def add(self, key: str, place: Place, target: Location) -> None:
        """Add a location whose value is known by a key. Raises OSError when there is no room."""
        at, bit = _bit(key)
        self._bits[at] |= bit
        row = (_hash(key), *place, *map(as_octets, (target.where, target.name, target.value)))
        self._table.execute("INSERT INTO handed_back VALUES (?, ?, ?, ?, ?, ?)", row)
        self._is_empty = False

    def pop(self, key: str) -> list[tuple[Place, Location]]:
        """Return the locations that are known by a key, and forget them."""
        at, bit = _bit(key)
        if not self._bits[at] & bit:
            return []
        rows = self._table.execute(
            "SELECT entry, location, place, name, value FROM handed_back WHERE hash = ? ORDER BY rowid", (_hash(key),)
        )
        if rows:
            self._table.execute("DELETE FROM handed_back WHERE hash = ?", (_hash(key),))
        return [((entry, location), Location(*map(as_text, texts))) for entry, location, *texts in rows]

    def close(self) -> None:
        """Let go of the file."""
        self._table.close()


def _bit(key: str) -> tuple[int, int]:
    number = hash(key) % BITS
    return number >> 3, 1 << (number & 7)


def _hash(key: str) -> bytes:
    return hashlib.sha256(as_octets(key)).digest()[:16]
