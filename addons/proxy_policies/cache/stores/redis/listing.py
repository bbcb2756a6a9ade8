"""Reads many responses at once from a Redis server: those that a purge may select, or all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.selectors import Selector
from proxy_policies.cache.stores.redis.purge_log import PREFIX, mend, mended
from proxy_policies.cache.stores.redis.records import quoted

KEY = f"{PREFIX}key:".encode()
READ_TOGETHER = 50
"""Keys read at once while listing everything: a millisecond's work before others get their turn."""


class Listing:
    """Lists responses; `parse` returns those in the heads under a key."""

    def __init__(self, redis: Any, parse: Callable[[Sequence[bytes], str], list[StoredResponse]]) -> None:
        self._redis, self._parse = redis, parse

    async def candidates(self, selector: Selector) -> list[StoredResponse]:
        """Return the responses that a purge may select, and perhaps others."""
        if selector.kind == "key":
            keys = [selector.value.encode(), *await self._listed(f"{PREFIX}own:{selector.value}")]
        elif selector.kind == "tag" and not await self._has_evicted():
            keys = await self._listed(f"{PREFIX}tagged:{selector.value}")
        else:
            return await self.all(selector.value if selector.kind == "url" else "")
        return await self._under([KEY + key for key in keys])

    async def _listed(self, name: str) -> list[bytes]:
        return await mended(self._redis, name, lambda: self._redis.zrange(name, 0, -1))

    async def _has_evicted(self) -> bool:
        """Return whether the server has evicted anything: it may be a list whose entries still exist."""
        return int((await self._redis.info("stats"))["evicted_keys"]) > 0

    async def all(self, beginning: str = "") -> list[StoredResponse]:
        """Read all entries, or those under keys with a prefix."""
        pattern = KEY + quoted(beginning).encode() + b"*"
        return await self._under([name async for name in self._redis.scan_iter(pattern, count=1000)])

    async def _under(self, names: Sequence[bytes]) -> list[StoredResponse]:
        found = list[StoredResponse]()
        for at in range(0, len(names), READ_TOGETHER):
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in names[at : at + READ_TOGETHER]:
                    pipe.hvals(name)
                for name, records in zip(names[at:], await pipe.execute(raise_on_error=False), strict=False):
                    if isinstance(records, Exception):
                        await mend(self._redis, records, name)
                    else:
                        found += self._parse(records, name.removeprefix(KEY).decode())
        return found
