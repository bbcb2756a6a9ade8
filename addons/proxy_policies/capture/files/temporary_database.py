"""A database in a file without a name, which is deleted with its object (https://www.sqlite.org/inmemorydb.html)."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any


class TemporaryDatabase:
    """A temporary SQLite database with these tables, for one thread."""

    def __init__(self, tables: str) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.executescript(f"PRAGMA journal_mode = OFF; {tables}; BEGIN")

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement. Raise OSError if the disk is full."""
        return list(self.rows(statement, values))

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a statement, one at a time. Raise OSError if the disk is full."""
        try:
            yield from self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise OSError(f"no room for a temporary file: {error}") from None

    def close(self) -> None:
        """Delete the file."""
        self._connection.close()

    def __del__(self) -> None:
        self._connection.close()


def to_blob(text: str) -> bytes:
    """Return a text as a BLOB: SQLite's texts cannot contain lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def from_blob(data: bytes) -> str:
    """Return the text of a BLOB."""
    return data.decode("utf-8", "surrogatepass")
