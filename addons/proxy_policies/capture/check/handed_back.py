"""What requests hand back, by value, while a recording is read from its end: kept in a file, so that memory is bounded.

The file has no name, and is gone with this object: SQLite's temporary database (https://www.sqlite.org/inmemorydb.html).
"""

import hashlib
import sqlite3

from proxy_policies.capture.locations import Location

type Place = tuple[int, int]
"""Where a value is handed back: which entry of the order, and which of its locations."""

BITS = 1 << 24
"""Of a table of hashes, which says of nearly every value that it is not there: 300 000 set one in 50 of its 2 MiB."""
_TABLE = """
PRAGMA journal_mode = OFF;
CREATE TABLE handed_back (hash BLOB, entry INTEGER, location INTEGER, place BLOB, name BLOB, value BLOB);
CREATE INDEX by_hash ON handed_back (hash);
BEGIN;
"""


class HandedBack:
    """Locations of requests by their values."""

    def __init__(self) -> None:
        self._bits = bytearray(BITS // 8)
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.executescript(_TABLE)
        self._is_empty = True

    def __bool__(self) -> bool:
        return not self._is_empty

    def add(self, key: str, place: Place, target: Location) -> None:
        """Add a location whose value is known by a key. Raises OSError when there is no room."""
        at, bit = _bit(key)
        self._bits[at] |= bit
        row = (_hash(key), *place, _octets(target.where), _octets(target.name), _octets(target.value))
        self._execute("INSERT INTO handed_back VALUES (?, ?, ?, ?, ?, ?)", row)
        self._is_empty = False

    def pop(self, key: str) -> list[tuple[Place, Location]]:
        """Return the locations that are known by a key, and forget them."""
        at, bit = _bit(key)
        if not self._bits[at] & bit:
            return []
        rows = self._execute(
            "SELECT entry, location, place, name, value FROM handed_back WHERE hash = ? ORDER BY rowid", (_hash(key),)
        ).fetchall()
        if rows:
            self._execute("DELETE FROM handed_back WHERE hash = ?", (_hash(key),))
        return [((entry, location), Location(*map(_text, texts))) for entry, location, *texts in rows]

    def _execute(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        try:
            return self._table.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise OSError(f"no room for a temporary file: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._table.close()


def _bit(key: str) -> tuple[int, int]:
    number = hash(key) % BITS
    return number >> 3, 1 << (number & 7)


def _hash(key: str) -> bytes:
    return hashlib.sha256(_octets(key)).digest()[:16]


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # which SQLite's own texts may not hold


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogatepass")
