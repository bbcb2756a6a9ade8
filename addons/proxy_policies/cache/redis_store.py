"""Stored responses in Redis (7 or later) or Valkey, shared by many proxies on many machines.

The server lets entries expire, a day after they stopped to be fresh, and bounds its own memory (`maxmemory`,
`maxmemory-policy allkeys-lru`). Keys, all under `proxy-policies:`

    key:KEY      a hash of the responses under a cache key: id → head
    body:ID      a body; coded:ID:CODING an encoded form of it
    tag:TAG      a set of "ID KEY"
    purges       a sorted set of the purges of late, by time
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, cast

from proxy_policies.cache import record
from proxy_policies.cache.entry import Stored
from proxy_policies.cache.purge import REMEMBERED, Selector
from proxy_policies.cache.store import WHOLE, BytesBody, Counts, Writing, supersedes

PREFIX = "proxy-policies:"
KEPT_STALE = 86400
"""Seconds that an entry is kept after it stopped to be fresh: to be validated, or to stand in for a failure."""
PATIENCE = 1.0
"""Seconds that the server may take to answer."""
PIECE = 256 * 1024
"""Bytes read at once of a large body."""
TRIES = 5
"""How often a commit is tried that other commits get in the way of."""


class RedisStore:
    """Keeps responses on a server, named by a URL such as `redis://127.0.0.1:6379/0`."""

    def __init__(self, url: str) -> None:
        from redis.asyncio import Redis  # an extra: only who chooses this store needs it

        self._redis: Any = Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
        self._pending: dict[str, set[asyncio.Task[None]]] = {}

    @property
    def at_hand(self) -> None:
        """Nothing: other machines may have changed it."""

    async def lookup(self, key: str) -> Sequence[Stored]:
        """Give all responses stored under a key."""
        if self._pending.get(key):
            await asyncio.wait(self._pending[key], timeout=PATIENCE)
        return _heads(await self._redis.hvals(f"{PREFIX}key:{key}"))

    async def body(self, entry: Stored, coding: str = "") -> "RemoteBody | BytesBody | None":
        """Open a body."""
        name = _body_name(entry.id, coding)
        size = await self._redis.strlen(name)
        if not coding and size != entry.size:
            return None
        if size > WHOLE:
            return RemoteBody(self._redis, name, size)
        data = await self._redis.get(name)
        return None if data is None else BytesBody(data)

    def write(self, entry: Stored, since: float, coding: str = "") -> Writing:
        """Begin to store."""
        return _Writing(self, since, coding)

    def keep(self, key: str, work: Awaitable[None]) -> None:
        """Do a commit behind the response, after those before it; whoever looks the key up waits for it."""
        before = tuple(self._pending.get(key, ()))

        async def commit() -> None:
            if before:  # an encoded form is not kept without its entry
                await asyncio.wait(before)
            await work

        task = asyncio.get_running_loop().create_task(commit())
        self._pending.setdefault(key, set()).add(task)
        task.add_done_callback(lambda done: self._done(key, done))

    def _done(self, key: str, task: asyncio.Task[None]) -> None:
        tasks = self._pending.get(key, set())
        tasks.discard(task)
        if not tasks:
            self._pending.pop(key, None)
        if not task.cancelled():
            task.exception()  # a server that is away has been reported by whoever looked up

    async def put(self, entry: Stored, body: bytes, since: float) -> None:
        """Store, unless it was purged meanwhile."""
        from redis.exceptions import WatchError

        for _ in range(TRIES):
            async with self._redis.pipeline() as pipe:
                try:
                    await self._try_put(pipe, entry, body, since)
                    return
                except WatchError:
                    continue

    async def _try_put(self, pipe: Any, entry: Stored, body: bytes, since: float) -> None:
        name = f"{PREFIX}key:{entry.key}"
        await pipe.watch(f"{PREFIX}purges", name)
        if await _is_purged(pipe, entry, since):
            return
        olds = [old for old in _heads(await pipe.hvals(name)) if supersedes(entry, old)]
        seconds = _seconds(entry)
        pipe.multi()
        for old in olds:
            pipe.hdel(name, old.id)
            pipe.delete(_body_name(old.id))
        pipe.set(_body_name(entry.id), body, ex=seconds)
        pipe.hset(name, entry.id, record.dump(entry))
        pipe.expire(name, seconds, nx=True)
        pipe.expire(name, seconds, gt=True)
        for tag in entry.tags:
            pipe.sadd(f"{PREFIX}tag:{tag}", f"{entry.id} {entry.key}")
            pipe.expire(f"{PREFIX}tag:{tag}", seconds, nx=True)
            pipe.expire(f"{PREFIX}tag:{tag}", seconds, gt=True)
        await pipe.execute()

    async def put_coded(self, entry: Stored, coding: str, body: bytes) -> None:
        """Keep an encoded form beside an entry that is still there."""
        left = await self._redis.ttl(_body_name(entry.id))
        if left > 0:
            await self._redis.set(_body_name(entry.id, coding), body, ex=left)

    async def update(self, old: Stored, new: Stored) -> None:
        """Put a new head to a body that stays."""
        name, seconds = f"{PREFIX}key:{new.key}", _seconds(new)
        if not await self._redis.hexists(name, old.id):
            return
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(name, old.id, record.dump(new))
            pipe.expire(name, seconds, gt=True)
            pipe.expire(_body_name(old.id), seconds)
            await pipe.execute()

    async def remove(self, entry: Stored) -> None:
        """Remove one response."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hdel(f"{PREFIX}key:{entry.key}", entry.id)
            pipe.delete(_body_name(entry.id))
            await pipe.execute()

    async def purge(self, selector: Selector, now: float, soft: bool = False) -> int:
        """Remove what is meant, or make it stale."""
        member = json.dumps([now, selector.kind, selector.value])
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(f"{PREFIX}purges", 0, now - REMEMBERED)
            pipe.zadd(f"{PREFIX}purges", {member: now})
            pipe.expire(f"{PREFIX}purges", int(REMEMBERED))
            await pipe.execute()
        meant = [entry for entry in await self._candidates(selector) if selector.matches(entry.key, entry.tags)]
        for entry in meant:
            await (self.update(entry, entry.made_stale()) if soft else self.remove(entry))
        return len(meant)

    async def _candidates(self, selector: Selector) -> list[Stored]:
        if selector.kind == "key":
            return _heads(await self._redis.hvals(f"{PREFIX}key:{selector.value}"))
        if selector.kind == "tag":
            members = await self._redis.smembers(f"{PREFIX}tag:{selector.value}")
            keys = {member.decode("utf-8", "surrogateescape").partition(" ")[2] for member in members}
            found = [_heads(await self._redis.hvals(f"{PREFIX}key:{key}")) for key in keys]
            return [entry for entries in found for entry in entries]
        return await self._all()

    async def _all(self) -> list[Stored]:
        names = [name async for name in self._redis.scan_iter(f"{PREFIX}key:*", count=1000)]
        return [entry for name in names for entry in _heads(await self._redis.hvals(name))]

    async def entries(self) -> Sequence[Stored]:
        """List what is stored."""
        return await self._all()

    async def counts(self) -> Counts:
        """Say how much is stored, by the server's own account of its memory."""
        memory = await self._redis.info("memory")
        return Counts(len(await self._all()), int(memory["used_memory"]), int(memory.get("maxmemory", 0)))

    async def close(self) -> None:
        """Finish what is under way."""
        tasks = [task for tasks in self._pending.values() for task in tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE)
        await self._redis.aclose()


async def _is_purged(pipe: Any, entry: Stored, since: float) -> bool:
    for member in await pipe.zrangebyscore(f"{PREFIX}purges", since, "+inf"):
        _, kind, value = json.loads(member)
        if Selector(kind, value).matches(entry.key, entry.tags):
            return True
    return False


def _heads(records: Sequence[bytes]) -> list[Stored]:
    found = []
    for text in records:
        try:
            found.append(record.load(text))
        except ValueError:
            continue  # another version's
    return found


def _body_name(id: str, coding: str = "") -> str:
    return f"{PREFIX}coded:{id}:{coding}" if coding else f"{PREFIX}body:{id}"


def _seconds(entry: Stored) -> int:
    windows = (entry.facts.stale_while_revalidate, entry.facts.stale_if_error or 0.0, KEPT_STALE)
    return int(max(entry.facts.lifetime - entry.facts.initial_age, 0) + max(windows)) + 1


class RemoteBody:
    """A large body on the server, read piece by piece."""

    held = None

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

    def commit(self, entry: Stored) -> None:
        body, self._data = b"".join(self._data), []
        if self._coding:
            self._store.keep(entry.key, self._store.put_coded(entry, self._coding, body))
        else:
            self._store.keep(entry.key, self._store.put(entry, body, self._since))

    def abort(self) -> None:
        self._data = []
