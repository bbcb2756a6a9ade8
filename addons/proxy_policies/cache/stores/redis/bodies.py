"""Bodies on the server: large ones are read in pieces, all are written whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, cast

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.stores.checksums import BLOCK, Checksums, DamagedBodyError, Trailer
from proxy_policies.cache.stores.store import Checkpoint, name_of

PIECE = 4 * BLOCK
"""Bytes read at once of a large body."""
READ_LEASE = 60
"""Seconds that a body stays after its entry is removed, and after each piece read, so that readers can finish.

The connection of a client that reads nothing for that long is closed (`send_timeout`).
"""
READ_TIMEOUT = 10.0
"""Seconds for which reading a piece is retried if the server does not answer, as earlier pieces were already sent."""
RETRY_AFTER = 0.2
"""Seconds between these retries."""


class Commits(Protocol):
    """The store to which a body is written."""

    def keep(self, key: str, size: int, work: Callable[[], Awaitable[bool]]) -> None:
        """Run a commit of a body without delaying the response."""

    async def put(self, entry: StoredResponse, body: bytes, since: Checkpoint) -> bool:
        """Store a response unless it was purged meanwhile; return whether it is stored."""

    async def put_coded(self, entry: StoredResponse, coding: str, body: bytes) -> bool:
        """Keep an encoded form; return whether it is kept."""


class RemoteBody:
    """A large body on the server, read piece by piece."""

    in_memory = None

    def __init__(self, redis: Any, name: str, size: int, trailer: Trailer, damaged: Callable[[OSError], None]) -> None:
        self._redis, self._name = redis, name
        self._trailer, self._damaged = trailer, damaged
        self.size = size

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Read pieces. Raise OSError if the body is gone, or a piece is damaged."""
        end = min(stop + -stop % BLOCK, self.size)
        for at in range(start - start % BLOCK, end, PIECE):
            count = min(PIECE, end - at)
            piece = await self._retried(lambda at=at, count=count: self._read(at, count))  # type: ignore[misc]
            if len(piece) != count:
                raise OSError("the body was removed")
            try:
                self._trailer.verify(piece, at)
            except DamagedBodyError as error:
                self._damaged(error)
                raise
            yield piece[max(start - at, 0) : stop - at]

    async def _read(self, at: int, count: int) -> bytes:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.getrange(self._name, at, at + count - 1)
            pipe.expire(self._name, READ_LEASE, gt=True)
            piece, _ = await pipe.execute(raise_on_error=False)  # a replica expires nothing
        if isinstance(piece, Exception):
            raise piece
        return cast(bytes, piece)

    async def _retried(self, read: Callable[[], Awaitable[bytes]]) -> bytes:
        from redis.exceptions import RedisError

        deadline = time.monotonic() + READ_TIMEOUT
        while True:
            try:
                return await read()
            except RedisError as error:
                if time.monotonic() > deadline:
                    raise OSError(str(error)) from error
            await asyncio.sleep(RETRY_AFTER)


class RemoteBodyWriter:
    """Collects a body, and writes it to the server as a whole."""

    def __init__(self, store: Commits, since: Checkpoint, coding: str) -> None:
        self._store, self._since, self._coding = store, since, coding
        self._data: list[bytes] = []
        self._checksums = Checksums()

    def feed(self, data: bytes) -> None:
        """Add a part of the body."""
        self._data.append(data)
        self._checksums.feed(data)

    def commit(self, entry: StoredResponse) -> None:
        """Store the body, without delaying the response."""
        body, self._data = b"".join((*self._data, self._checksums.finish(name_of(entry.id, self._coding)))), []
        if self._coding:
            self._store.keep(entry.key, len(body), lambda: self._store.put_coded(entry, self._coding, body))
        else:
            self._store.keep(entry.key, len(body), lambda: self._store.put(entry, body, self._since))

    def abort(self) -> None:
        """Store nothing."""
        self._data = []
