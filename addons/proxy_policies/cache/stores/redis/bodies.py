"""Bodies on the server: large ones are read in pieces, and each is written whole."""

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
"""Seconds that a body stays after its entry has gone, and after each piece that is read of it: who reads it reads on.

A client that takes nothing for that long is closed on (`send_timeout`).
"""
READ_TIMEOUT = 10.0
"""Seconds for which a piece is asked for again when the server does not answer: its client has had others."""
RETRY_AFTER = 0.2
"""Seconds between two such tries."""


class Commits(Protocol):
    """The store that a body is written for."""

    def keep(self, key: str, work: Callable[[], Awaitable[bool]]) -> None:
        """Do a commit behind the response."""

    async def put(self, entry: StoredResponse, body: bytes, since: Checkpoint) -> bool:
        """Store, unless it was purged meanwhile; says whether it is."""

    async def put_coded(self, entry: StoredResponse, coding: str, body: bytes) -> bool:
        """Keep an encoded form; says whether it is kept."""


class RemoteBody:
    """A large body on the server, read piece by piece."""

    in_memory = None

    def __init__(self, redis: Any, name: str, size: int, trailer: Trailer, damaged: Callable[[OSError], None]) -> None:
        self._redis, self._name = redis, name
        self._trailer, self._damaged = trailer, damaged
        self.size = size

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Read pieces; a body that is gone meanwhile, or a piece that is not what was written, raises OSError."""
        end = min(stop + -stop % BLOCK, self.size)
        for at in range(start - start % BLOCK, end, PIECE):
            count = min(PIECE, end - at)
            piece = await self._retried(lambda at=at, count=count: self._read(at, count))  # type: ignore[misc]
            if len(piece) != count:
                raise OSError("the body went away")
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
    """A body on its way to the server, which gets it whole."""

    def __init__(self, store: Commits, since: Checkpoint, coding: str) -> None:
        self._store, self._since, self._coding = store, since, coding
        self._data: list[bytes] = []
        self._checksums = Checksums()

    def feed(self, data: bytes) -> None:
        """Take a part of the body."""
        self._data.append(data)
        self._checksums.feed(data)

    def commit(self, entry: StoredResponse) -> None:
        """Store what was fed, behind the response."""
        body, self._data = b"".join((*self._data, self._checksums.finish(name_of(entry.id, self._coding)))), []
        if self._coding:
            self._store.keep(entry.key, lambda: self._store.put_coded(entry, self._coding, body))
        else:
            self._store.keep(entry.key, lambda: self._store.put(entry, body, self._since))

    def abort(self) -> None:
        """Store nothing."""
        self._data = []
