"""Taps and transforms that store bodies, prepend a stored beginning, and keep encoded forms."""

from collections.abc import Callable

from proxy_policies.cache.rfc9111.entry import Span, StoredResponse
from proxy_policies.cache.rfc9111.ranges import parse_content_range
from proxy_policies.cache.stores.store import BodySource, BodyWriter, Store, StoredBody, read_whole

MAX_COMPLETED = 8 * 1024 * 1024
"""Most bytes of a stored beginning that is completed; it is held in memory meanwhile."""


class StoreTap:
    """The tap that stores a body as it passes; calls `ended` with the stored entry, or None.

    With a `length` of the whole in bytes, the beginning of a body that breaks off is stored as a part (RFC 9111,
    section 3.3). A body that is not delimited ends with its connection: only Content-Range can show whether it is
    complete.
    """

    def __init__(
        self,
        writing: BodyWriter,
        entry: StoredResponse,
        limit: int,
        ended: Callable[[StoredResponse | None], None],
        length: int | None = None,
        *,
        is_delimited: bool = True,
    ) -> None:
        self._writing: BodyWriter | None = writing
        self._entry = entry
        self._limit = limit
        self._ended = ended
        self._length = length
        self._is_delimited = is_delimited
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Store a chunk; if the body exceeds the limit, discard it."""
        if self._writing is None:
            return
        self._size += len(data)
        if self._size > self._limit:
            self._drop()
        else:
            self._writing.feed(data)

    def finish(self) -> None:
        """Make the entry visible."""
        entry = self._complete()
        if self._writing is None or entry is None:
            self._drop()
            return
        writing, self._writing = self._writing, None
        writing.commit(entry)
        self._ended(entry)

    def _complete(self) -> StoredResponse | None:
        if self._entry.status != 206:
            return self._entry.replace(size=self._size)
        said = self._entry.fields.get("content-range")
        span = parse_content_range(said, self._size, is_exact=not self._is_delimited)
        return None if span is None else self._entry.replace(size=self._size, span=span)

    def abort(self) -> None:
        """Keep the beginning if the rest can be requested, else nothing."""
        beginning = self._beginning()
        if self._writing is None or beginning is None:
            self._drop()
            return
        writing, self._writing = self._writing, None
        writing.commit(beginning)
        self._ended(None)

    def _beginning(self) -> StoredResponse | None:
        if self._length is None or not 0 < self._size < min(self._length, MAX_COMPLETED):
            return None
        span = Span(0, self._size - 1, self._length)
        fields = self._entry.fields.replacing("Content-Range", span.content_range)
        return self._entry.replace(status=206, reason="Partial Content", fields=fields, size=self._size, span=span)

    def _drop(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.abort()
            self._ended(None)


class OnFinish:
    """The tap that calls a function once all taps before it have finished with a complete body."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._then = then

    def feed(self, data: bytes) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Call the function."""
        self._then()

    def abort(self) -> None:
        """Do nothing: the body was cut off."""


class OnComplete(OnFinish):
    """The same, but also for a body that is not complete."""

    def abort(self) -> None:
        """Call the function: a script may have killed an exchange whose body is already stored."""
        self._then()


class PrependBody:
    """The transform that sends a stored beginning before the rest from the origin."""

    def __init__(self, beginning: bytes) -> None:
        self._beginning = beginning

    def feed(self, data: bytes) -> bytes:
        """Send the beginning first, once."""
        beginning, self._beginning = self._beginning, b""
        return beginning + data

    def finish(self) -> bytes:
        """Return the beginning if no data followed."""
        return self.feed(b"")


class StoredEncoding:
    """An encoded form of a response in the store; a `flow_state.EncodedBody`."""

    def __init__(self, body: StoredBody) -> None:
        self._body = body
        self.size = body.size

    async def read(self) -> bytes | None:
        """Return all of it; None if it cannot be read."""
        return await read_whole(self._body, self.size)

    def source(self) -> BodySource:
        """Return a source that reads it in pieces."""
        return BodySource(self._body, (0, self.size))


class EncodedVariants:
    """The encoded forms of a stored response (`flow_state.Variants`); none while it is being stored."""

    def __init__(self, store: Store, entry: StoredResponse, limit: int, *, is_stored: bool) -> None:
        self._store, self._entry, self._limit, self._is_stored = store, entry, limit, is_stored

    async def find(self, coding: str) -> StoredEncoding | None:
        """Open an encoded form."""
        body = await self._store.body(self._entry, coding) if self._is_stored else None
        return None if body is None else StoredEncoding(body)

    def keep(self, coding: str) -> StoreTap:
        """Return the tap that keeps the encoder's output."""
        writing = self._store.write(None, coding)
        return StoreTap(writing, self._entry.replace(status=200), self._limit, lambda _: None)
