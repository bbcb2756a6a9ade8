"""Stored responses in Redis (7 or later) or Valkey, shared by many proxies on many machines.

The server lets entries expire, a day after they stopped to be fresh, and bounds its own memory (`maxmemory`,
`maxmemory-policy allkeys-lru`). Keys, all under `proxy-policies:`

    key:KEY      a hash of the responses under a cache key: id → head
    body:ID      a body; coded:ID:CODING an encoded form of it
    tagged:TAG   a sorted set of the keys of what has a tag, by when the last of it is gone
    own:KEY      the same of the keys that differ from KEY in what the proxy itself said
    used:KEY     a sorted set of the ids under a cache key, by when they were used last
    purges       a sorted set of the purges of late, by time
    probe        whether the server takes what is written

What has another type than it should under these names is not ours, and is removed.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, cast

from proxy_policies.background import spawn
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.key import OWN, without_own
from proxy_policies.cache.rfc9111.selectors import PURGE_LOG_TTL, Selector
from proxy_policies.cache.stores import serialization
from proxy_policies.cache.stores.store import (
    MAX_WHOLE,
    VARIANTS_MOST,
    BodyWriter,
    BytesBody,
    OnWrite,
    StoreStats,
    supersedes,
    unheard,
)

PREFIX = "proxy-policies:"
KEY = f"{PREFIX}key:".encode()
KEPT_STALE = 86400
"""Seconds that an entry is kept after it stopped to be fresh: to be validated, or to stand in for a failure."""
TIMEOUT = 1.0
"""Seconds that the server may take to answer."""
PIECE = 256 * 1024
"""Bytes read at once of a large body."""
COMMITS_MOST = 8
"""Commits at once: each takes a connection, and all of them together must not be too slow for PATIENCE."""
MAX_ATTEMPTS = 5
"""How often a commit is tried that other commits get in the way of."""


class RedisStore:
    """Keeps responses on a server, named by a URL such as `redis://127.0.0.1:6379/0`."""

    def __init__(self, url: str) -> None:
        from redis.asyncio import Redis  # only who chooses this store waits for its import

        self._redis: Any = Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
        self._pending: dict[str, set[asyncio.Task[None]]] = {}
        self.on_write: OnWrite = unheard
        self._is_writable = False
        self._turns = asyncio.Semaphore(COMMITS_MOST)

    @property
    def sync_view(self) -> None:
        """Nothing: other machines may have changed it."""

    async def lookup(self, key: str) -> Sequence[StoredResponse]:
        """Return all responses stored under a key."""
        if self._pending.get(key):
            await asyncio.wait(self._pending[key], timeout=TIMEOUT)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hvals(f"{PREFIX}key:{key}")
            pipe.set(f"{PREFIX}probe", b"", ex=60)
            heads, probed = await pipe.execute(raise_on_error=False)
        if isinstance(heads, Exception):
            await self._mend(heads, f"{PREFIX}key:{key}")
            return ()
        self._probed(probed if isinstance(probed, Exception) else None)
        return _heads(heads)[:VARIANTS_MOST]

    def _probed(self, error: Exception | None) -> None:
        """Note whether the server accepts writes: no response shall claim `stored` when it was not."""
        if error is not None or not self._is_writable:
            self.on_write(error)
        self._is_writable = error is None

    async def _mend(self, error: Exception, *names: str) -> None:
        """Remove what has the wrong type under names of ours; raises any other error again."""
        if "WRONGTYPE" not in str(error):
            raise error
        await self._redis.unlink(*names)

    def takes(self, size: int | None) -> bool:
        """Return whether the server took what was written last."""
        return self._is_writable

    async def body(self, entry: StoredResponse, coding: str = "") -> "RemoteBody | BytesBody | None":
        """Open a body."""
        name = _body_name(entry.id, coding)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.strlen(name)
            pipe.zadd(f"{PREFIX}used:{entry.key}", {entry.id: time.time()}, xx=True)
            size, _ = await pipe.execute(raise_on_error=False)
        if isinstance(size, Exception):
            await self._mend(size, name)
            return None
        if not coding and size != entry.size:
            return None
        if size > MAX_WHOLE:
            return RemoteBody(self._redis, name, size)
        data = await self._redis.get(name)
        return None if data is None else BytesBody(data)

    def write(self, entry: StoredResponse, since: float, coding: str = "") -> BodyWriter:
        """Begin to store."""
        return _Writing(self, since, coding)

    def keep(self, key: str, work: Awaitable[None]) -> None:
        """Do a commit behind the response, after those before it; whoever looks the key up waits for it."""
        before = tuple(self._pending.get(key, ()))

        async def commit() -> None:
            if before:  # an encoded form is not kept without its entry
                await asyncio.wait(before)
            async with self._turns:
                await work

        task = spawn(commit())
        self._pending.setdefault(key, set()).add(task)
        task.add_done_callback(lambda done: self._done(key, done))

    def _done(self, key: str, task: asyncio.Task[None]) -> None:
        tasks = self._pending.get(key, set())
        tasks.discard(task)
        if not tasks:
            self._pending.pop(key, None)
        if not task.cancelled():
            error = task.exception()
            self._is_writable = error is None
            self.on_write(error if isinstance(error, Exception) else None)

    async def put(self, entry: StoredResponse, body: bytes, since: float) -> None:
        """Store, unless it was purged meanwhile."""
        from redis.exceptions import ResponseError, WatchError

        for _ in range(MAX_ATTEMPTS):
            async with self._redis.pipeline() as pipe:
                try:
                    await self._try_put(pipe, entry, body, since)
                    return
                except WatchError:
                    continue
                except ResponseError as error:
                    await self._mend(error, *await self._of_wrong_types(entry))

    async def _of_wrong_types(self, entry: StoredResponse) -> list[str]:
        types = {f"{PREFIX}purges": "zset", f"{PREFIX}key:{entry.key}": "hash", f"{PREFIX}used:{entry.key}": "zset"}
        types |= dict.fromkeys(_lists(entry), "zset")
        found = [(name, (await self._redis.type(name)).decode()) for name in types]
        return [name for name, type_ in found if type_ not in ("none", types[name])] or [_body_name(entry.id)]

    async def _try_put(self, pipe: Any, entry: StoredResponse, body: bytes, since: float) -> None:
        name = f"{PREFIX}key:{entry.key}"
        await pipe.watch(f"{PREFIX}purges", name)
        if await _is_purged(pipe, entry, since):
            return
        heads, used = _heads(await pipe.hvals(name)), f"{PREFIX}used:{entry.key}"
        olds = _to_go(entry, heads, [id.decode() for id in await pipe.zrange(used, 0, -1)])
        seconds = _seconds(entry)
        pipe.multi()
        for id in olds:
            pipe.hdel(name, id)
            pipe.zrem(used, id)
            pipe.delete(_body_name(id))
        pipe.zadd(used, {entry.id: time.time()})
        pipe.expire(used, seconds, nx=True)
        pipe.expire(used, seconds, gt=True)
        pipe.set(_body_name(entry.id), body, ex=seconds)
        pipe.hset(name, entry.id, serialization.dump(entry))
        pipe.expire(name, seconds, nx=True)
        pipe.expire(name, seconds, gt=True)
        _list(pipe, entry, seconds)
        await pipe.execute()

    async def put_coded(self, entry: StoredResponse, coding: str, body: bytes) -> None:
        """Keep an encoded form beside an entry that is still there."""
        left = await self._redis.ttl(_body_name(entry.id))
        if left > 0:
            await self._redis.set(_body_name(entry.id, coding), body, ex=left)

    async def update(self, old: StoredResponse, new: StoredResponse) -> None:
        """Put a new head to a body that stays."""
        name, seconds = f"{PREFIX}key:{new.key}", _seconds(new)
        if not await self._redis.hexists(name, old.id):
            return
        if await _is_purged(self._redis, new, new.requested_at):
            new = new.as_stale()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(name, old.id, serialization.dump(new))
            pipe.expire(name, seconds, gt=True)
            pipe.expire(_body_name(old.id), seconds)
            _list(pipe, new, seconds)
            await pipe.execute()

    async def remove(self, entry: StoredResponse) -> None:
        """Remove one response."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hdel(f"{PREFIX}key:{entry.key}", entry.id)
            pipe.zrem(f"{PREFIX}used:{entry.key}", entry.id)
            pipe.delete(_body_name(entry.id))
            await pipe.execute()

    async def purge(self, selector: Selector, now: float, soft: bool = False) -> int:
        """Remove what is meant, or make it stale."""
        member = json.dumps([now, selector.kind, selector.value])
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(f"{PREFIX}purges", 0, now - PURGE_LOG_TTL)
            pipe.zadd(f"{PREFIX}purges", {member: now})
            pipe.expire(f"{PREFIX}purges", int(PURGE_LOG_TTL))
            await pipe.execute()
        meant = [entry for entry in await self._candidates(selector) if selector.matches(entry.key, entry.tags)]
        for entry in meant:
            await (self.update(entry, entry.as_stale()) if soft else self.remove(entry))
        return len(meant)

    async def _candidates(self, selector: Selector) -> list[StoredResponse]:
        if selector.kind == "key":
            keys = [selector.value.encode(), *await self._redis.zrange(f"{PREFIX}own:{selector.value}", 0, -1)]
        elif selector.kind == "tag":
            keys = await self._redis.zrange(f"{PREFIX}tagged:{selector.value}", 0, -1)
        else:
            return await self._all()
        return await self._under([KEY + key for key in keys])

    async def _all(self) -> list[StoredResponse]:
        return await self._under([name async for name in self._redis.scan_iter(KEY + b"*", count=1000)])

    async def _under(self, names: Sequence[bytes]) -> list[StoredResponse]:
        return [entry for name in names for entry in _heads(await self._redis.hvals(name))]

    async def entries(self) -> Sequence[StoredResponse]:
        """List what is stored."""
        return await self._all()

    async def counts(self) -> StoreStats:
        """Return how much is stored, by the server's own account of its memory."""
        memory = await self._redis.info("memory")
        return StoreStats(len(await self._all()), int(memory["used_memory"]), int(memory.get("maxmemory", 0)))

    async def close(self) -> None:
        """Finish what is under way."""
        tasks = [task for tasks in self._pending.values() for task in tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=TIMEOUT)
        await self._redis.aclose()


def _to_go(entry: StoredResponse, heads: Sequence[StoredResponse], used: Sequence[str]) -> list[str]:
    """Return the ids that go for a new entry: what it supersedes, and beyond the bound what was not used for longest.

    `used` are ids, in the order of their use; one that is not among them was not used for longer.
    """
    superseded = [old.id for old in heads if supersedes(entry, old)]
    order = {id: at for at, id in enumerate(used)}
    staying = sorted({old.id for old in heads}.difference(superseded), key=lambda id: order.get(id, -1))
    return superseded + staying[: max(len(staying) + 1 - VARIANTS_MOST, 0)]


async def _is_purged(pipe: Any, entry: StoredResponse, since: float) -> bool:
    for member in await pipe.zrangebyscore(f"{PREFIX}purges", since, "+inf"):
        _, kind, value = json.loads(member)
        if Selector(kind, value).matches(entry.key, entry.tags):
            return True
    return False


def _heads(records: Sequence[bytes]) -> list[StoredResponse]:
    found = []
    for text in records:
        try:
            found.append(serialization.load(text))
        except ValueError:
            continue  # another version's
    return found


def _lists(entry: StoredResponse) -> list[str]:
    """Name the sorted sets that an entry's key is in."""
    own = [f"{PREFIX}own:{without_own(entry.key)}"] if OWN in entry.key else []
    return [*(f"{PREFIX}tagged:{tag}" for tag in entry.tags), *own]


def _list(pipe: Any, entry: StoredResponse, seconds: int) -> None:
    """List an entry's key for as long as the entry is kept, and leave out what is gone."""
    now = time.time()
    for name in _lists(entry):
        pipe.zadd(name, {entry.key: now + seconds}, gt=True)
        pipe.zremrangebyscore(name, 0, now)
        pipe.expire(name, seconds, nx=True)
        pipe.expire(name, seconds, gt=True)


def _body_name(id: str, coding: str = "") -> str:
    return f"{PREFIX}coded:{id}:{coding}" if coding else f"{PREFIX}body:{id}"


def _seconds(entry: StoredResponse) -> int:
    windows = (entry.freshness.stale_while_revalidate, entry.freshness.stale_if_error or 0.0, KEPT_STALE)
    return int(max(entry.freshness.lifetime - entry.freshness.initial_age, 0) + max(windows)) + 1


class RemoteBody:
    """A large body on the server, read piece by piece."""

    in_memory = None

    def __init__(self, redis: Any, name: str, size: int) -> None:
        self._redis, self._name = redis, name
        self.size = size

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Read pieces; a body that is gone meanwhile raises OSError."""
        from redis.exceptions import RedisError

        for at in range(start, stop, PIECE):
            count = min(PIECE, stop - at)
            try:
                piece = cast(bytes, await self._redis.getrange(self._name, at, at + count - 1))
            except RedisError as error:
                raise OSError(str(error)) from error
            if len(piece) != count:
                raise OSError("the body went away")
            yield piece


class _Writing:
    """A body on its way to the server, which gets it whole."""

    def __init__(self, store: RedisStore, since: float, coding: str) -> None:
        self._store, self._since, self._coding = store, since, coding
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._data.append(data)

    def commit(self, entry: StoredResponse) -> None:
        body, self._data = b"".join(self._data), []
        if self._coding:
            self._store.keep(entry.key, self._store.put_coded(entry, self._coding, body))
        else:
            self._store.keep(entry.key, self._store.put(entry, body, self._since))

    def abort(self) -> None:
        self._data = []
