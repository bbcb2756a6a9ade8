"""The log of purges on a Redis server, and the removal of foreign values under our names.

The log is a stream with ids from the server: they order purges independently of clients' clocks. A response is stored
if no purge that selects it was logged after the last one at the time of its request. If the log does not go back that
far (trimmed, evicted, or lost with the server), this is unknown, and the response is not stored. So the log is never
empty: it begins with an entry that is not a purge.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from proxy_policies.cache.rfc9111.selectors import MAX_REMEMBERED, Selector
from proxy_policies.cache.stores.store import Checkpoint

PREFIX = "proxy-policies:"
PURGES = f"{PREFIX}purge-log"

LogRows = Sequence[tuple[bytes, dict[bytes, bytes]]]
"""Entries of a stream: ids and fields."""


class PurgeLog:
    """Tracks the last known entry of the log, and finds later ones."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self.checkpoint: bytes | None = None
        """The id of the last known entry; None if there is none."""

    async def note_last(self, last: LogRows | Exception, *, may_begin: bool) -> None:
        """Note the last entry; if there is none, start a new log."""
        if isinstance(last, Exception):
            await mend(self._redis, last, PURGES)
            last = ()
        self.checkpoint = last[0][0] if last else None
        if may_begin and not last:
            await self._add("", "")

    async def note(self, selector: Selector) -> None:
        """Log a purge."""
        await self._add(selector.kind, selector.value)

    async def _add(self, kind: str, value: str) -> None:
        said = {"kind": kind, "value": value}
        self.checkpoint = await mended(
            self._redis, PURGES, lambda: self._redis.xadd(PURGES, said, maxlen=MAX_REMEMBERED)
        )

    async def is_purged(self, pipe: Any, key: str, tags: Collection[str] | None, since: Checkpoint) -> bool:
        """Return whether a purge after `since` selects a response, or may; `pipe` may be in a transaction."""
        rows: LogRows = await pipe.xrange(PURGES, min=since) if since else ()
        is_known = bool(rows) and rows[0][0] == since
        return not is_known or any(_selector(said).matches(key, tags) for _, said in rows[1:])


def _selector(said: dict[bytes, bytes]) -> Selector:
    return Selector(said[b"kind"].decode(), said[b"value"].decode())


async def mend(redis: Any, error: Exception, *names: str | bytes) -> None:
    """Remove values of the wrong type under our names; re-raise any other error."""
    if "WRONGTYPE" not in str(error):
        raise error
    await redis.unlink(*names)


async def mended[T](redis: Any, name: str, work: Callable[[], Awaitable[T]]) -> T:
    """Run work on one of our names, again if a foreign value had to be removed."""
    from redis.exceptions import ResponseError

    try:
        return await work()
    except ResponseError as error:
        await mend(redis, error, name)
        return await work()
