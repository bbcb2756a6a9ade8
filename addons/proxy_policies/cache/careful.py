"""A store that may fail: its failures are misses and one log line, never a client's errors."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from proxy_policies.cache.entry import Stored
from proxy_policies.cache.purge import Selector
from proxy_policies.cache.store import AtHand, Body, Counts, Store, Writing

logger = logging.getLogger(__name__)

PAUSE = 2.0
"""Seconds for which a store that failed is left alone."""
MISSED_MOST = 1000
"""Purges that wait for a store to come back; beyond, everything in it is purged."""


class Careful:
    """Stands before a store that is outside of this process."""

    def __init__(self, store: Store, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._away_until = 0.0
        self._failing = False
        self._missed: list[tuple[Selector, float, bool]] = []

    async def _try[T](self, work: Callable[[], Awaitable[T]], otherwise: T) -> T:
        if self._clock() < self._away_until:
            return otherwise
        try:
            result = await work()
        except Exception as error:
            self._failed(error)
            return otherwise
        if self._failing:
            self._failing = False
            logger.info(f"cache: {self._name} is back")
        return result

    def _failed(self, error: Exception) -> None:
        self._away_until = self._clock() + PAUSE
        if not self._failing:
            self._failing = True
            logger.warning(f"cache: {self._name} fails, everything is a miss: {error or type(error).__name__}")

    @property
    def at_hand(self) -> AtHand | None:
        """Nothing while the store is left alone, or has to learn first what was purged."""
        return None if self._missed or self._clock() < self._away_until else self._store.at_hand

    async def lookup(self, key: str) -> Sequence[Stored]:
        """Look up; a store that was away first learns what was purged meanwhile."""
        await self._catch_up()
        return () if self._missed else await self._try(lambda: self._store.lookup(key), ())

    async def _catch_up(self) -> None:
        for missed in list(self._missed):
            if await self._try(partial(self._store.purge, *missed), -1) < 0:
                return
            if missed in self._missed:
                self._missed.remove(missed)

    async def body(self, entry: Stored, coding: str = "") -> Body | None:
        """Open a body."""
        return await self._try(lambda: self._store.body(entry, coding), None)

    def write(self, entry: Stored, since: float, coding: str = "") -> Writing:
        """Begin to store."""
        return self._store.write(entry, since, coding)

    async def update(self, old: Stored, new: Stored) -> None:
        """Put a new head to a body that stays."""
        await self._try(lambda: self._store.update(old, new), None)

    async def remove(self, entry: Stored) -> None:
        """Remove one response."""
        await self._try(lambda: self._store.remove(entry), None)

    async def purge(self, selector: Selector, now: float, soft: bool = False) -> int:
        """Purge, now or as soon as the store is back."""
        count = await self._try(lambda: self._store.purge(selector, now, soft), -1)
        if count < 0:
            self._missed.append((selector, now, soft))
            if len(self._missed) > MISSED_MOST:
                self._missed = [(Selector("glob", "*"), now, False)]
        return max(count, 0)

    async def entries(self) -> Sequence[Stored]:
        """List what is stored."""
        return await self._try(self._store.entries, ())

    async def counts(self) -> Counts:
        """Say how much is stored."""
        return await self._try(self._store.counts, Counts(0, 0, 0))

    async def close(self) -> None:
        """Finish what is under way."""
        await self._try(self._store.close, None)
