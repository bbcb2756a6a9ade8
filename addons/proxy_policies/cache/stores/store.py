"""The protocol of stores: memory, disk and Redis."""

from collections.abc import AsyncIterator, Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.selectors import Selector

CHUNK = 64 * 1024
"""Bytes read from a store at once."""
MAX_WHOLE = 1024 * 1024
"""Bodies up to this many bytes are read whole, larger ones piece by piece while being sent."""


Checkpoint = Hashable
"""A position in a store's log of purges, independent of any clock.

Callers can only compare two for equality. None: unknown, so nothing is stored.
"""
MAX_VARIANTS = 32
"""Responses kept under one key: with more, Vary names a field that never repeats; the least recently used go."""


def name_of(id: str, coding: str = "") -> str:
    """Return the name of a body, or of an encoded form of it."""
    return f"{id}.{coding}" if coding else id


class StoredBody(Protocol):
    """The body of one stored response; readable even if the entry is removed meanwhile."""

    size: int

    @property
    def in_memory(self) -> bytes | None:
        """The whole body if it is in memory anyway."""

    def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Read positions start to stop, at most 64 KiB at a time."""


class BodyWriter(Protocol):
    """Writes a body into the store. It is not visible before `commit`."""

    def feed(self, data: bytes) -> None:
        """Add a chunk; never blocks."""

    def commit(self, entry: StoredResponse) -> None:
        """Store the chunks as the body of `entry`, replacing those it supersedes."""

    def abort(self) -> None:
        """Discard the body."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    """How much a store holds: entries, bytes (bookkeeping included) and its limit in bytes."""

    entries: int
    bytes: int
    limit: int


class SyncView(Protocol):
    """The part of a store that can answer without waiting."""

    def get_all(self, key: str) -> Sequence[StoredResponse]:
        """Return all responses stored under a key; none if not available at once."""

    def get_body(self, entry: StoredResponse, coding: str = "") -> bytes | None:
        """Return a response's body, or its form in a content coding, and count the use; None if not in memory."""


class Store(Protocol):
    """Keeps stored responses under their keys."""

    @property
    def sync_view(self) -> SyncView | None:
        """The part that can answer without waiting, possibly only from now on; None if there is none."""

    @property
    def is_timed_by_us(self) -> bool:
        """Whether its times are by this machine's clock."""

    async def lookup(self, key: str) -> Sequence[StoredResponse]:
        """Return all responses stored under a key, after any pending commit."""

    async def body(self, entry: StoredResponse, coding: str = "") -> StoredBody | None:
        """Open a response's body, or its form in a content coding; None if it is gone."""

    @property
    def checkpoint(self) -> Checkpoint:
        """The last read position in its log of purges; earlier purges do not affect later requests."""

    async def read_checkpoint(self) -> None:
        """Update `checkpoint`, before a request is forwarded."""

    async def is_purged(self, key: str, tags: Collection[str] | None, since: Checkpoint) -> bool:
        """Return whether a purge after `since` selects a response, or may; `tags` is None if unknown."""

    def write(self, since: Checkpoint, coding: str = "") -> BodyWriter:
        """Start storing a body. `since` is the checkpoint at the request; a later purge prevents storing.

        With a `coding`, it is an encoded form of an entry already stored, and `since` is ignored.
        """

    def takes(self, size: int | None) -> bool:
        """Return whether a body of `size` bytes (None: it is stored already) will be stored, as far as can be known."""

    async def update(self, old: StoredResponse, new: StoredResponse, since: Checkpoint) -> None:
        """Replace the head of a body, if still there; mark it stale if a purge after `since` selects it."""

    async def remove(self, entry: StoredResponse) -> None:
        """Remove one response."""

    async def purge(self, selector: Selector, soft: bool = False) -> int:
        """Remove the selected responses (soft: mark them stale) and return their number."""

    async def entries(self) -> Sequence[StoredResponse]:
        """List what is stored, for people to look at."""

    async def counts(self) -> StoreStats:
        """Return how much is stored."""

    async def close(self) -> None:
        """Finish pending work."""


OnWrite = Callable[[Exception | None], None]
"""Called with the outcome of each write: the error, or None."""


def unheard(error: Exception | None) -> None:
    """Ignore the outcome."""


def supersedes(new: StoredResponse, old: StoredResponse) -> bool:
    """Return whether a response replaces another under the same key."""
    if new.vary_key != old.vary_key:
        return False
    if new.span is None:
        return True
    return old.span is not None and new.span.first <= old.span.first and old.span.last <= new.span.last


def is_late(new: StoredResponse, stored: Iterable[StoredResponse]) -> bool:
    """Return whether a whole received after `new` is stored in its place: `new` has a body that took longer.

    The most recent response is used (RFC 9111, section 4), not the one that ended last.
    """
    return any(
        old.span is None and old.vary_key == new.vary_key and old.received_at > new.received_at for old in stored
    )


class BytesBody:
    """A body held in memory."""

    __slots__ = ("in_memory", "size")

    def __init__(self, data: bytes) -> None:
        self.in_memory: bytes | None = data
        self.size = len(data)

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield slices."""
        data = self.in_memory or b""
        for at in range(start, stop, CHUNK):
            yield data[at : min(at + CHUNK, stop)]


async def read_whole(body: StoredBody, limit: int) -> bytes | None:
    """Read a body into memory; None if it has more than `limit` bytes, or cannot be read."""
    if body.size > limit:
        return None
    if body.in_memory is not None:
        return body.in_memory
    try:
        return b"".join([piece async for piece in body.chunks(0, body.size)])
    except OSError:
        return None


class BodySource:
    """A part of a stored body, read as it is sent (`flow_state.Source`)."""

    def __init__(self, body: StoredBody, part: tuple[int, int]) -> None:
        self._chunks = body.chunks(*part)

    async def read(self) -> bytes:
        """Return the next piece."""
        return await anext(self._chunks, b"")

    async def close(self) -> None:
        """Stop reading."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
