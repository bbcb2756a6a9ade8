"""The log of purges on a Redis server, and what to do with what is not ours under names of ours.

The log is a stream, whose ids are the server's: they say which of two came first, whatever the clocks of those who ask
say. A response is stored if no purge that is about it came after what was the last one when it was asked for. Where the
log does not go back to that, nobody knows: it was trimmed, evicted or lost with the server, and the response is not
stored. So the log is never empty: it begins with an entry that is no purge.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from proxy_policies.cache.rfc9111.selectors import REMEMBERED_MOST, Selector
from proxy_policies.cache.stores.store import Checkpoint

PREFIX = "proxy-policies:"
PURGES = f"{PREFIX}purge-log"

Rows = Sequence[tuple[bytes, dict[bytes, bytes]]]
"""Entries of a stream: ids, and what they say."""


class PurgeLog:
    """Knows the last entry of the log when it was read last, and what came after another one."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self.checkpoint: bytes | None = None
        """The id of the last entry that we know of; None when there is none."""

    async def note_last(self, last: Rows | Exception, *, may_begin: bool) -> None:
        """Take note of the last entry; where there is none, begin anew."""
        if isinstance(last, Exception):
            await mend(self._redis, last, PURGES)
            last = ()
        self.checkpoint = last[0][0] if last else None
        if may_begin and not last:
            await self._add("", "")

    async def note(self, selector: Selector) -> None:
        """Note a purge."""
        await self._add(selector.kind, selector.value)

    async def _add(self, kind: str, value: str) -> None:
        said = {"kind": kind, "value": value}
        self.checkpoint = await mended(
            self._redis, PURGES, lambda: self._redis.xadd(PURGES, said, maxlen=REMEMBERED_MOST)
        )

    async def is_purged(self, pipe: Any, key: str, tags: Collection[str] | None, since: Checkpoint) -> bool:
        """Return whether a purge after `since` is about a response, or may be; `pipe` asks, in a transaction or not."""
        rows: Rows = await pipe.xrange(PURGES, min=since) if since else ()
        is_known = bool(rows) and rows[0][0] == since
        return not is_known or any(_selector(said).matches(key, tags) for _, said in rows[1:])


def _selector(said: dict[bytes, bytes]) -> Selector:
    return Selector(said[b"kind"].decode(), said[b"value"].decode())


async def mend(redis: Any, error: Exception, *names: str | bytes) -> None:
    """Remove what has the wrong type under names of ours; raises any other error again."""
    if "WRONGTYPE" not in str(error):
        raise error
    await redis.unlink(*names)


async def mended[T](redis: Any, name: str, work: Callable[[], Awaitable[T]]) -> T:
    """Do something with what has a name of ours, once more when that was not ours."""
    from redis.exceptions import ResponseError

    try:
        return await work()
    except ResponseError as error:
        await mend(redis, error, name)
        return await work()
