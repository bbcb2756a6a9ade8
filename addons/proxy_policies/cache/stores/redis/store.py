"""Stored responses in Redis (7 or later) or Valkey, shared by many proxies on many machines.

The server expires entries a day after their freshness ends, and bounds its own memory (`maxmemory`,
`maxmemory-policy allkeys-lru`). Keys, all under `proxy-policies:`

    key:KEY      a hash of the responses under a cache key: id → head
    body:ID      a body with its checksums; coded:ID:CODING an encoded form of it
    tagged:TAG   a sorted set of the keys of entries with a tag, by the latest expiry
    own:KEY      the same for keys that add fields of the proxy's own to KEY
    used:KEY     a sorted set of the ids under a cache key, by last use
    purge-log    a stream of recent purges; its ids, from the server, order purges and stores
    probe        tests whether the server accepts writes

All times are by the server's clock, as machines' clocks may differ. Values of another type under these names are
foreign, and are removed.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from proxy_policies.background.tasks import spawn
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.selectors import Selector
from proxy_policies.cache.stores import serialization
from proxy_policies.cache.stores.checksums import DamagedBodyError, Trailer, body_size, trailer_size, verified
from proxy_policies.cache.stores.redis.bodies import READ_LEASE, RemoteBody, RemoteBodyWriter
from proxy_policies.cache.stores.redis.listing import Listing
from proxy_policies.cache.stores.redis.purge_log import PREFIX, PURGES, PurgeLog, mend
from proxy_policies.cache.stores.redis.records import (
    body_name,
    later,
    list_key,
    lists_of,
    seconds_kept,
    to_go,
)
from proxy_policies.cache.stores.redis.server_clock import CLOCKS_AGREE, ServerClock
from proxy_policies.cache.stores.store import (
    MAX_VARIANTS,
    MAX_WHOLE,
    BodyWriter,
    BytesBody,
    Checkpoint,
    OnWrite,
    StoreStats,
    is_late,
    name_of,
    unheard,
)
from proxy_policies.log_lines import Throttle

logger = logging.getLogger(__name__)

TIMEOUT = 1.0
"""Seconds that the server may take to answer, unless its URL sets `socket_timeout`."""
MAX_COMMITS = 8
"""Concurrent commits: each takes a connection, and together they must not exceed TIMEOUT."""
MAX_ATTEMPTS = 5
"""Attempts at a commit that conflicts with others."""


class RedisStore:
    """Keeps responses on a server, named by a URL such as `redis://127.0.0.1:6379/0`, with redis-py's parameters.

    Raise ValueError for invalid parameters.
    """

    is_timed_by_us = False

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        from redis.asyncio import Redis  # imported only if this store is chosen

        self._redis: Any = Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
        try:
            self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # does not connect
        except TypeError as error:
            raise ValueError(f"redis-py has no parameter {str(error).rpartition(' ')[2]}") from None
        self._timeout: float = self._redis.connection_pool.connection_kwargs["socket_timeout"]
        self._purges = PurgeLog(self._redis)
        self._pending: dict[str, set[asyncio.Task[bool]]] = {}
        self.on_write: OnWrite = unheard
        self._is_writable = False
        self._refused: int | None = None
        """Bytes of the smallest body, with its checksums, that could not be stored, until one of that size is."""
        self._damage = Throttle()
        self._turns = asyncio.Semaphore(MAX_COMMITS)
        self._clock = ServerClock(clock)
        self._listing = Listing(self._redis, self._entries)

    @property
    def sync_view(self) -> None:
        """None: other machines may have changed the data."""

    async def lookup(self, key: str) -> Sequence[StoredResponse]:
        """Return all responses stored under a key."""
        if self._pending.get(key):
            await asyncio.wait(self._pending[key], timeout=self._timeout)
        sent = self._clock.ours()
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hvals(f"{PREFIX}key:{key}")
            pipe.set(f"{PREFIX}probe", b"", ex=60)
            pipe.time()
            heads, probed, clock = await pipe.execute(raise_on_error=False)
        self._clock.compare(sent, clock)
        self._probed(probed if isinstance(probed, Exception) else None)
        if self.checkpoint is None:
            await self.read_checkpoint()
        if isinstance(heads, Exception):
            await mend(self._redis, heads, f"{PREFIX}key:{key}")
            return ()
        return self._entries(heads, key)[:MAX_VARIANTS]

    def _entries(self, records: Sequence[bytes], key: str) -> list[StoredResponse]:
        """Parse the heads under a key, with times by our clock."""
        return [later(entry, -self._clock.ahead) for entry in serialization.load_heads(records, key)]

    def _dump(self, entry: StoredResponse) -> str:
        """Serialize a head, with times by the server's clock."""
        return serialization.dump(later(entry, self._clock.ahead))

    def _probed(self, error: Exception | None) -> None:
        """Note whether the server accepts writes: no response may wrongly claim `stored`."""
        if error is not None or not self._is_writable:
            self.on_write(error)
        self._is_writable = error is None

    def takes(self, size: int | None) -> bool:
        """Return whether the server accepted the last write, and has not refused a body that was no larger."""
        if self._refused is None or not self._is_writable:
            return self._is_writable
        return size is not None and size + trailer_size(size) < self._refused

    async def body(self, entry: StoredResponse, coding: str = "") -> RemoteBody | BytesBody | None:
        """Open a body."""
        name = body_name(entry.id, coding)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.strlen(name)
            pipe.zadd(f"{PREFIX}used:{entry.key}", {entry.id: self._clock.now()}, xx=True)
            if lists := lists_of(entry):
                pipe.touch(*lists)  # so that the server does not evict them before the entries they list
            size, *_ = await pipe.execute(raise_on_error=False)
        if isinstance(size, Exception):
            await mend(self._redis, size, name)
            return None
        try:
            return await self._open(entry, coding, size) if size else None
        except DamagedBodyError as error:
            self._damaged(entry, coding, error)
            return None

    async def _open(self, entry: StoredResponse, coding: str, stored_size: int) -> RemoteBody | BytesBody | None:
        size, name = body_size(stored_size), body_name(entry.id, coding)
        if not coding and size != entry.size:
            raise DamagedBodyError(f"{size} bytes where {entry.size} were")
        if size > MAX_WHOLE:
            trailer = await self._redis.getrange(name, size, -1)
            of_body = Trailer(trailer, name_of(entry.id, coding))
            return RemoteBody(self._redis, name, size, of_body, lambda error: self._damaged(entry, coding, error))
        data = await self._redis.get(name)
        return None if data is None else BytesBody(verified(data, name_of(entry.id, coding)))

    def _damaged(self, entry: StoredResponse, coding: str, error: Exception) -> None:
        """Remove damaged data."""
        line = self._damage.admit(f"cache: {body_name(entry.id, coding)} is fetched anew: {error}", time.monotonic())
        if line:
            logger.warning(line)
        spawn(self._discard(entry, coding))

    async def _discard(self, entry: StoredResponse, coding: str) -> None:
        """Remove damaged data, unless the server takes no commands: then the next reader does."""
        from redis.exceptions import RedisError

        try:
            await (self._redis.unlink(body_name(entry.id, coding)) if coding else self.remove(entry))
        except RedisError as error:
            self.on_write(error)

    @property
    def checkpoint(self) -> bytes | None:
        """The last known entry of the log of purges."""
        return self._purges.checkpoint

    async def read_checkpoint(self) -> None:
        """Read the last entry of the log of purges, and the server's clock."""
        sent = self._clock.ours()
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.xrevrange(PURGES, count=1)
            pipe.time()
            last, clock = await pipe.execute(raise_on_error=False)
        self._clock.compare(sent, clock)
        await self._purges.note_last(last, may_begin=self._is_writable)

    async def is_purged(self, key: str, tags: Collection[str] | None, since: Checkpoint) -> bool:
        """Return whether a purge after `since` selects a response, or may."""
        return await self._purges.is_purged(self._redis, key, tags, since)

    def write(self, since: Checkpoint, coding: str = "") -> BodyWriter:
        """Start storing a body."""
        return RemoteBodyWriter(self, since, coding)

    def keep(self, key: str, size: int, work: Callable[[], Awaitable[bool]]) -> None:
        """Run a commit of a body without delaying the response, after earlier ones; look-ups of the key wait for it."""
        before = tuple(self._pending.get(key, ()))

        async def commit() -> bool:
            if before:  # an encoded form is not kept without its entry
                await asyncio.wait(before)
            async with self._turns:
                return await work()

        task = spawn(commit())
        self._pending.setdefault(key, set()).add(task)
        task.add_done_callback(lambda done: self._done(key, size, done))

    def _done(self, key: str, size: int, task: asyncio.Task[bool]) -> None:
        tasks = self._pending.get(key, set())
        tasks.discard(task)
        if not tasks:
            self._pending.pop(key, None)
        if task.cancelled():
            return
        if isinstance(error := task.exception(), Exception):
            self._refused = min(size, self._refused or size)
            self.on_write(error)
        elif task.result():
            if self._refused is not None and size >= self._refused:
                self._refused = None
            self.on_write(None)

    async def put(self, entry: StoredResponse, body: bytes, since: Checkpoint) -> bool:
        """Store a response unless it was purged or replaced meanwhile; return whether it is stored."""
        return await self._watching(entry, lambda pipe: self._try_put(pipe, entry, body, since))

    async def _watching(self, entry: StoredResponse, work: Callable[[Any], Awaitable[bool]]) -> bool:
        """Run work in a transaction, retried if a purge or a change under the same key intervenes."""
        from redis.exceptions import ResponseError, WatchError

        for _ in range(MAX_ATTEMPTS):
            async with self._redis.pipeline() as pipe:
                try:
                    await pipe.watch(PURGES, f"{PREFIX}key:{entry.key}")
                    return await work(pipe)
                except WatchError:
                    continue
                except ResponseError as error:
                    await mend(self._redis, error, *await self._of_wrong_types(entry))
        return False

    async def _of_wrong_types(self, entry: StoredResponse) -> list[str]:
        types = {PURGES: "stream", f"{PREFIX}key:{entry.key}": "hash", f"{PREFIX}used:{entry.key}": "zset"}
        types |= dict.fromkeys(lists_of(entry), "zset")
        found = [(name, (await self._redis.type(name)).decode()) for name in types]
        return [name for name, type_ in found if type_ not in ("none", types[name])] or [body_name(entry.id)]

    async def _try_put(self, pipe: Any, entry: StoredResponse, body: bytes, since: Checkpoint) -> bool:
        name = f"{PREFIX}key:{entry.key}"
        if await self._purges.is_purged(pipe, entry.key, entry.tags, since):
            return False
        heads, used = serialization.load_heads(await pipe.hvals(name)), f"{PREFIX}used:{entry.key}"
        if is_late(later(entry, self._clock.ahead + CLOCKS_AGREE), heads):  # several machines have stored these
            return False
        olds = to_go(entry, heads, [id.decode() for id in await pipe.zrange(used, 0, -1)])
        seconds = seconds_kept(entry)
        pipe.multi()
        for id in olds:
            pipe.hdel(name, id)
            pipe.zrem(used, id)
            pipe.expire(body_name(id), READ_LEASE)
        pipe.zadd(used, {entry.id: self._clock.now()})
        pipe.expire(used, seconds, nx=True)
        pipe.expire(used, seconds, gt=True)
        pipe.set(body_name(entry.id), body, ex=seconds)
        pipe.hset(name, entry.id, self._dump(entry))
        pipe.expire(name, seconds, nx=True)
        pipe.expire(name, seconds, gt=True)
        list_key(pipe, entry, seconds, self._clock.now())
        await pipe.execute()
        return True

    async def put_coded(self, entry: StoredResponse, coding: str, body: bytes) -> bool:
        """Keep an encoded form of an entry that still exists; return whether it is kept."""
        left = await self._redis.ttl(body_name(entry.id))
        if left > 0:
            await self._redis.set(body_name(entry.id, coding), body, ex=left)
        return bool(left > 0)

    async def update(self, old: StoredResponse, new: StoredResponse, since: Checkpoint) -> None:
        """Replace the head of a body."""

        async def update(pipe: Any) -> bool:
            is_purged = await self._purges.is_purged(pipe, new.key, new.tags, since)
            return await self._put_head(pipe, old.id, new.as_stale() if is_purged else new)

        await self._watching(new, update)

    async def _put_head(self, pipe: Any, id: str, entry: StoredResponse) -> bool:
        """Replace the head of a body if it still exists; return whether it did."""
        name, seconds = f"{PREFIX}key:{entry.key}", seconds_kept(entry)
        if not await pipe.hexists(name, id):
            return False
        pipe.multi()
        pipe.hset(name, id, self._dump(entry))
        pipe.expire(name, seconds, gt=True)
        pipe.expire(body_name(id), seconds)
        list_key(pipe, entry, seconds, self._clock.now())
        await pipe.execute()
        return True

    async def remove(self, entry: StoredResponse) -> None:
        """Remove one response."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hdel(f"{PREFIX}key:{entry.key}", entry.id)
            pipe.zrem(f"{PREFIX}used:{entry.key}", entry.id)
            pipe.expire(body_name(entry.id), READ_LEASE)
            await pipe.execute()

    async def purge(self, selector: Selector, soft: bool = False) -> int:
        """Remove the selected responses, or mark them stale."""
        await self._purges.note(selector)
        meant = [entry for entry in await self._listing.candidates(selector) if selector.matches(entry.key, entry.tags)]
        for entry in meant:
            await (self._make_stale(entry) if soft else self.remove(entry))
        if meant:  # again, because meanwhile responses may have been derived from entries not yet removed
            await self._purges.note(selector)
        return len(meant)

    async def _make_stale(self, entry: StoredResponse) -> None:
        await self._watching(entry, lambda pipe: self._put_head(pipe, entry.id, entry.as_stale()))

    async def entries(self) -> Sequence[StoredResponse]:
        """List what is stored."""
        return await self._listing.all()

    async def counts(self) -> StoreStats:
        """Return how much is stored, as reported by the server for its memory."""
        memory = await self._redis.info("memory")
        return StoreStats(len(await self._listing.all()), int(memory["used_memory"]), int(memory.get("maxmemory", 0)))

    async def close(self) -> None:
        """Finish pending work."""
        tasks = [task for tasks in self._pending.values() for task in tasks]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._timeout)
            for task in late:
                task.cancel()  # otherwise it would connect again
            await asyncio.gather(*late, return_exceptions=True)
        await self._redis.aclose()
