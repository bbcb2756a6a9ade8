"""A mapping with only the latest items in memory, so that memory does not grow with the recording."""

from collections import OrderedDict

from proxy_policies.capture.files.temporary_database import TemporaryDatabase, from_blob, to_blob

MAX_IN_MEMORY = 4096
"""Items in memory; the least recently used of more are written to a temporary file."""
_TABLE = "CREATE TABLE items (name BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"


class SpilledMapping:
    """A mapping from texts to texts. Raises OSError if the disk is full."""

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
