"""A mapping of which only the latest items are in memory: it does not grow with the recording."""

from collections import OrderedDict

from proxy_policies.capture.temporary_database import TemporaryDatabase, as_octets, as_text

KEPT = 4096
"""Items in memory; those that were used before are in a temporary file."""
_TABLE = "CREATE TABLE items (name BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"


class SpilledMapping:
    """Texts by texts. Raises OSError when there is no room for them."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, str] = OrderedDict()
        self._others: TemporaryDatabase | None = None

    def get(self, name: str) -> str | None:
        """Return the text of this name, or None."""
        value = self._latest.get(name)
        if value is not None:
            self._latest.move_to_end(name)
        elif self._others is not None:
            found = self._others.execute("SELECT value FROM items WHERE name = ?", (as_octets(name),))
            value = as_text(found[0][0]) if found else None
        return value

    def put(self, name: str, value: str) -> None:
        """Set the text of this name."""
        self._latest[name] = value
        self._latest.move_to_end(name)
        if len(self._latest) > KEPT:
            self._spill(*self._latest.popitem(last=False))

    def _spill(self, name: str, value: str) -> None:
        if self._others is None:
            self._others = TemporaryDatabase(_TABLE)
        self._others.execute("INSERT OR REPLACE INTO items VALUES (?, ?)", (as_octets(name), as_octets(value)))
