"""The locations of requests by their values, in a temporary file, so that memory does not grow with the recording."""

import hashlib
from collections.abc import Iterator

from proxy_policies.capture.files.temporary_database import TemporaryDatabase, from_blob, to_blob
from proxy_policies.capture.locations import Location

type Position = tuple[int, int]
"""The index of an entry in the order of sending, and of a location in its request."""

FILTER_BITS = 1 << 24
"""Bits of a table of hashes that saves most look-ups of absent values: 300 000 values set one in 50 of its 2 MiB."""
_TABLE = """
CREATE TABLE request_values (hash BLOB, entry INTEGER, location INTEGER, place BLOB, name BLOB, value BLOB);
CREATE INDEX by_hash ON request_values (hash)
"""


class RequestValueIndex:
    """Locations of requests by their values."""

    def __init__(self) -> None:
        self._filter = bytearray(FILTER_BITS // 8)
        self._table = TemporaryDatabase(_TABLE)
        self._is_empty = True

    def __bool__(self) -> bool:
        return not self._is_empty

    def add(self, key: str, position: Position, target: Location) -> None:
        """Add a location under the key of its value. Raise OSError if the disk is full."""
        at, bit = _bit(key)
        self._filter[at] |= bit
        row = (_hash(key), *position, *map(to_blob, (target.where, target.name, target.value)))
        self._table.execute("INSERT INTO request_values VALUES (?, ?, ?, ?, ?, ?)", row)
        self._is_empty = False

    def pop(self, key: str) -> Iterator[tuple[Position, Location]]:
        """Yield the locations under a key, in the order in which they were added; then remove them."""
        at, bit = _bit(key)
        if not self._filter[at] & bit:
            return
        rows = self._table.rows(
            "SELECT entry, location, place, name, value FROM request_values WHERE hash = ? ORDER BY rowid",
            (_hash(key),),
        )
        is_found = False
        for entry, location, *texts in rows:
            is_found = True
            yield (entry, location), Location(*map(from_blob, texts))
        if is_found:
            self._table.execute("DELETE FROM request_values WHERE hash = ?", (_hash(key),))

    def close(self) -> None:
        """Delete the file."""
        self._table.close()


def _bit(key: str) -> tuple[int, int]:
    number = hash(key) % FILTER_BITS
    return number >> 3, 1 << (number & 7)


def _hash(key: str) -> bytes:
    return hashlib.sha256(to_blob(key)).digest()[:16]
