"""What happens to bodies: kept while they pass, replaced by what is stored, preceded by it."""

from collections.abc import Callable

from proxy_policies.cache.entry import Stored
from proxy_policies.cache.ranges import parse_content_range
from proxy_policies.cache.store import Store, Writing


class Keeping:
    """The tap that stores a body as it passes; tells `ended` the entry stored, or None."""

    def __init__(self, writing: Writing, entry: Stored, limit: int, ended: Callable[[Stored | None], None]) -> None:
        self._writing: Writing | None = writing
        self._entry = entry
        self._limit = limit
        self._ended = ended
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Store a chunk; beyond the limit for one object nothing is kept."""
        if self._writing is None:
            return
        self._size += len(data)
        if self._size > self._limit:
            self.abort()
        else:
            self._writing.feed(data)

    def finish(self) -> None:
        """Make the entry visible."""
        entry = self._complete()
        if self._writing is None or entry is None:
            self.abort()
            return
        writing, self._writing = self._writing, None
        writing.commit(entry)
        self._ended(entry)

    def _complete(self) -> Stored | None:
        if self._entry.status != 206:
            return self._entry.changed(size=self._size)
        span = parse_content_range(self._entry.fields.get("content-range"), self._size)
        return None if span is None else self._entry.changed(size=self._size, span=span)

    def abort(self) -> None:
        """Forget what was kept."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.abort()
            self._ended(None)


class Replace:
    """The transform that sends a stored body in place of the origin's."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def feed(self, data: bytes) -> bytes:
        """Drop what the origin sent."""
        return b""

    def finish(self) -> bytes:
        """Give the stored body."""
        return self._body


class Precede:
    """The transform that sends a stored beginning before the rest that the origin sends."""

    def __init__(self, beginning: bytes) -> None:
        self._beginning = beginning

    def feed(self, data: bytes) -> bytes:
        """Send the beginning first, once."""
        beginning, self._beginning = self._beginning, b""
        return beginning + data

    def finish(self) -> bytes:
        """Give the beginning, should nothing have followed."""
        return self.feed(b"")


class CodedVariants:
    """The encoded forms of a stored response (`exchange.Variants`); forms found when it was opened."""

    def __init__(self, store: Store, entry: Stored, limit: int, loaded: dict[str, bytes] | None = None) -> None:
        self._store, self._entry, self._limit = store, entry, limit
        self._loaded = loaded or {}

    def find(self, coding: str) -> bytes | None:
        """Give the whole encoded body."""
        return self._loaded.get(coding)

    def keep(self, coding: str) -> "Keeping | None":
        """Give the tap that keeps what the encoder makes."""
        writing = self._store.write(self._entry, self._entry.received_at, coding)
        return Keeping(writing, self._entry.changed(status=200), self._limit, lambda _: None)
