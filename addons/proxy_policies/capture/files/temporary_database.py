"""A database in a file without a name, and a mapping that is continued in one, so that memory does not grow.

The file is deleted with its object (https://www.sqlite.org/inmemorydb.html).
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

MAX_IN_MEMORY = 4096
"""Items in memory; the least recently used of more are written to a temporary file."""
_TABLE = "CREATE TABLE items (name BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"


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


class SpilledMapping:
    """A mapping from texts to texts, with only the latest in memory. Raises OSError if the disk is full."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, str] = OrderedDict()
        self._others: TemporaryDatabase | None = None

    def get(self, name: str) -> str | None:
        """Return the value of a name; None if there is none."""
        value = self._latest.get(name)
        if value is not None:
            self._latest.move_to_end(name)
        elif self._others is not None:
            found = self._others.execute("SELECT value FROM items WHERE name = ?", (to_blob(name),))
            value = from_blob(found[0][0]) if found else None
        return value

    def put(self, name: str, value: str) -> None:
        """Set the value of a name."""
        self._latest[name] = value
        self._latest.move_to_end(name)
        if len(self._latest) > MAX_IN_MEMORY:
            self._spill(*self._latest.popitem(last=False))

    def _spill(self, name: str, value: str) -> None:
        if self._others is None:
            self._others = TemporaryDatabase(_TABLE)
        self._others.execute("INSERT OR REPLACE INTO items VALUES (?, ?)", (to_blob(name), to_blob(value)))
