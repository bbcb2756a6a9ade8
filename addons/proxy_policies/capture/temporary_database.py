"""A database in a file without a name, gone with its object: what is kept there takes no memory beyond a cache.

It is SQLite's temporary database (https://www.sqlite.org/inmemorydb.html).
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any


class TemporaryDatabase:
    """Tables of octets and numbers, for one thread."""

    def __init__(self, tables: str) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.executescript(f"PRAGMA journal_mode = OFF; {tables}; BEGIN")

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows that a statement gives. Raises OSError when there is no room."""
        return list(self.rows(statement, values))

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that a statement gives, as they are asked for. Raises OSError when there is no room."""
        try:
            yield from self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise OSError(f"no room for a temporary file: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __del__(self) -> None:
        self._connection.close()


def as_octets(text: str) -> bytes:
    """Return a text as it is kept: SQLite's own may not hold lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def as_text(octets: bytes) -> str:
    """Return a text that was kept."""
    return octets.decode("utf-8", "surrogatepass")
