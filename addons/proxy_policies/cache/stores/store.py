"""What keeps stored responses: one protocol for memory, disk and Redis."""

from collections.abc import AsyncIterator, Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.selectors import Selector

CHUNK = 64 * 1024
"""Bytes read from a store at once."""
MAX_WHOLE = 1024 * 1024
"""Bodies up to this many bytes are read whole; larger ones piece by piece as they are sent."""


Checkpoint = Hashable
"""How far the purges of a store had come at a moment: a place in its log of them, which no clock has a part in.

Only that two are equal means anything to others. None: that is not known, and nothing is stored.
"""
VARIANTS_MOST = 32
"""Responses kept under one key: beyond, Vary names something that never repeats, and those used longest ago go."""


def name_of(id: str, coding: str = "") -> str:
    """Name a body, or an encoded form of it."""
    return f"{id}.{coding}" if coding else id


class Body(Protocol):
    """The body of one stored response; readable whatever happens to the entry meanwhile."""

    size: int

    @property
    def in_memory(self) -> bytes | None:
        """All of it, when it is in memory anyway."""

    def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Read positions start to stop, at most 64 KiB at a time."""


class BodyWriter(Protocol):
    """A body on its way into the store. Nothing of it is visible before `commit`."""

    def feed(self, data: bytes) -> None:
        """Take a chunk; never blocks."""

    def commit(self, entry: StoredResponse) -> None:
        """Keep what was fed as the body of `entry`, in place of what it supersedes."""

    def abort(self) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    """How much a store holds: entries, bytes (bookkeeping included) and its limit in bytes."""

    entries: int
    bytes: int
    limit: int


class SyncView(Protocol):
    """What of a store is in memory: asked without waiting."""

    def get_all(self, key: str) -> Sequence[StoredResponse]:
        """Return all responses stored under a key; none where they are not at hand."""

    def get_body(self, entry: StoredResponse, coding: str = "") -> bytes | None:
        """Return a response's body, or the form of it in a content coding, and count the use; None if not at hand."""


class Store(Protocol):
    """Keeps stored responses under their keys."""

    @property
    def sync_view(self) -> SyncView | None:
        """What can be asked without waiting, from now on if need be; None when that is nothing."""

    @property
    def is_timed_by_us(self) -> bool:
        """Whether its times are by this machine's clock."""

    async def lookup(self, key: str) -> Sequence[StoredResponse]:
        """Return all responses stored under a key; a commit under way is waited for."""

    async def body(self, entry: StoredResponse, coding: str = "") -> Body | None:
        """Open a response's body, or the form of it in a content coding; None when it is gone."""

    @property
    def checkpoint(self) -> Checkpoint:
        """How far its purges had come when that was read last: none of those is about what is asked for from now."""

    async def read_checkpoint(self) -> None:
        """Have `checkpoint` be of now, before a request goes forward."""

    async def is_purged(self, key: str, tags: Collection[str] | None, since: Checkpoint) -> bool:
        """Return whether a purge after `since` is about a response, or may be: tags are None where nobody knows."""

    def write(self, since: Checkpoint, coding: str = "") -> BodyWriter:
        """Begin to store. `since`: the checkpoint when it was asked for; a purge after that beats it.

        With a `coding`, an encoded form of an entry that is stored already, for which `since` is of no account.
        """

    def takes(self, size: int | None) -> bool:
        """Return whether a body of so many bytes (None: not known yet) will be stored, as far as is known now."""

    async def update(self, old: StoredResponse, new: StoredResponse, since: Checkpoint) -> None:
        """Put a new head to a body that stays, if it is still there; stale, if a purge after `since` is about it."""

    async def remove(self, entry: StoredResponse) -> None:
        """Remove one response."""

    async def purge(self, selector: Selector, soft: bool = False) -> int:
        """Remove what is meant (soft: make it stale) and give how many it was."""

    async def entries(self) -> Sequence[StoredResponse]:
        """List what is stored, for people to look at."""

    async def counts(self) -> StoreStats:
        """Return how much is stored."""

    async def close(self) -> None:
        """Finish what is under way."""


OnWrite = Callable[[Exception | None], None]
"""Called with the outcome of each write: the error, or None."""


def unheard(error: Exception | None) -> None:
    """Take no notice."""


def supersedes(new: StoredResponse, old: StoredResponse) -> bool:
    """Return whether a response takes the place of another under the same key."""
    if new.vary_key != old.vary_key:
        return False
    if new.span is None:
        return True
    return old.span is not None and new.span.first <= old.span.first and old.span.last <= new.span.last


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


async def read_whole(body: Body, limit: int) -> bytes | None:
    """Read a body into memory; None when it has more than `limit` bytes, or cannot be read."""
    if body.size > limit:
        return None
    if body.in_memory is not None:
        return body.in_memory
    try:
        return b"".join([piece async for piece in body.chunks(0, body.size)])
    except OSError:
        return None


class BodySource:
    """A part of a stored body, read as it is sent (`exchange.Source`)."""

    def __init__(self, body: Body, part: tuple[int, int]) -> None:
        self._chunks = body.chunks(*part)

    async def read(self) -> bytes:
        """Return the next piece."""
        return await anext(self._chunks, b"")

    async def close(self) -> None:
        """Stop reading."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
