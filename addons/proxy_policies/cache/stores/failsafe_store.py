"""Wraps a store that may fail: failures become misses and a log line, never errors for clients."""

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.selectors import ALL, Selector
from proxy_policies.cache.stores.store import BodyWriter, Checkpoint, OnWrite, Store, StoredBody, StoreStats, SyncView
from proxy_policies.log_lines import error_text

logger = logging.getLogger(__name__)

RETRY_AFTER = 2.0
"""Seconds for which a failed store is not used."""
TOLD_EVERY = 600.0
"""Seconds between lines about a failure that lasts."""
INTERMITTENT_EVERY = 60.0
"""Seconds between lines about failures that come and go."""
QUOTED_BEFORE = " of pipeline caused error: "
"""redis-py's text between a command, with all its data, and the error."""
MAX_MISSED = 1000
"""Purges that wait for a store to return; beyond that, everything in it is purged."""


class OutsideStore(Store, Protocol):
    """A store that reports the outcome of every write."""

    on_write: OnWrite


class Failures:
    """Logs a lasting failure: one line when it begins, occasionally one with a count, one when it ends.

    For intermittent failures, the next line has their number.
    """

    def __init__(self, what: str, meaning: str, clock: Callable[[], float]) -> None:
        self._what, self._meaning, self._clock = what, meaning, clock
        self._count = 0
        self._told_at = float("-inf")
        self._is_told = False

    def failed(self, error: Exception) -> None:
        """Count a failure."""
        self._count += 1
        if self._clock() - self._told_at >= (TOLD_EVERY if self._is_told else INTERMITTENT_EVERY):
            self._told_at, self._is_told = self._clock(), True
            times = f" ({self._count} times by now)" if self._count > 1 else ""
            reason = error_text(error).rpartition(QUOTED_BEFORE)[2] or type(error).__name__
            logger.warning(f"cache: {self._what}, {self._meaning}{times}: {reason}")

    def over(self, how: str) -> None:
        """Note a success; log it if earlier failures were logged."""
        if self._is_told:
            count, self._count, self._is_told = self._count, 0, False
            logger.info(f"cache: {how}, after {count} {'failures' if count > 1 else 'failure'}")


class _Nowhere:
    """Discards bodies for a store that is not used."""

    def feed(self, data: bytes) -> None:
        pass

    def commit(self, entry: StoredResponse) -> None:
        pass

    def abort(self) -> None:
        pass


NOWHERE = _Nowhere()


class _Checkpoint(NamedTuple):
    missed: int
    """The number of purges that did not reach the store at once."""
    of_store: Checkpoint


def _of_store(checkpoint: Checkpoint) -> Checkpoint:
    return checkpoint.of_store if isinstance(checkpoint, _Checkpoint) else None


class FailSafeStore:
    """Wraps a store outside this process."""

    def __init__(self, store: OutsideStore, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._away_until = 0.0
        self._missed: list[tuple[Selector, bool]] = []
        self._missed_ever = 0
        self._reading = Failures(f"{name} is unavailable", "treating every request as a miss", clock)
        self._writing = Failures(f"{name} takes nothing", "nothing is stored", clock)
        store.on_write = self._written

    @property
    def _is_away(self) -> bool:
        return self._clock() < self._away_until

    async def _try[T](self, work: Callable[[], Awaitable[T]], otherwise: T) -> T:
        if self._is_away:
            return otherwise
        try:
            result = await work()
        except Exception as error:
            self._away_until = self._clock() + RETRY_AFTER
            self._reading.failed(error)
            return otherwise
        self._reading.over(f"{self._name} is back")
        return result

    def _written(self, error: Exception | None) -> None:
        if error is None:
            self._writing.over(f"{self._name} stores again")
        elif not self._is_away:  # otherwise already logged
            self._writing.failed(error)

    def takes(self, size: int | None) -> bool:
        """Return whether a body will probably be stored."""
        return not (self._is_away or self._missed) and self._store.takes(size)

    @property
    def sync_view(self) -> SyncView | None:
        """The store's; None while it is not used, has missed purges, or fails."""
        if self._missed or self._is_away:
            return None
        try:
            return self._store.sync_view
        except Exception as error:  # otherwise the caller's client would wait for ever
            self._reading.failed(error)
            return None

    async def lookup(self, key: str) -> Sequence[StoredResponse]:
        """Look up; after an outage, first apply missed purges."""
        await self._catch_up()
        return () if self._missed else await self._try(lambda: self._store.lookup(key), ())

    async def _catch_up(self) -> None:
        for missed in list(self._missed):
            if await self._try(partial(self._store.purge, *missed), -1) < 0:
                return
            if missed in self._missed:
                self._missed.remove(missed)

    async def body(self, entry: StoredResponse, coding: str = "") -> StoredBody | None:
        """Open a body."""
        return await self._try(lambda: self._store.body(entry, coding), None)

    @property
    def is_timed_by_us(self) -> bool:
        """As for the store."""
        return self._store.is_timed_by_us

    @property
    def checkpoint(self) -> "_Checkpoint":
        """The checkpoint, including purges that the store has missed."""
        return _Checkpoint(self._missed_ever, self._store.checkpoint)

    async def read_checkpoint(self) -> None:
        """Update `checkpoint`, if possible."""
        await self._try(self._store.read_checkpoint, None)

    async def is_purged(self, key: str, tags: Collection[str] | None, since: Checkpoint) -> bool:
        """Return whether a purge after `since` selects a response, or may."""
        if any(selector.matches(key, tags) for selector, _ in self._missed):
            return True
        if _of_store(since) == self._store.checkpoint:
            return False
        return await self._try(lambda: self._store.is_purged(key, tags, _of_store(since)), True)

    def write(self, since: Checkpoint, coding: str = "") -> BodyWriter:
        """Start storing a body; discard it if the store is not used."""
        return NOWHERE if self._is_away else self._store.write(_of_store(since), coding)

    async def update(self, old: StoredResponse, new: StoredResponse, since: Checkpoint) -> None:
        """Replace the head of a body."""
        await self._try(lambda: self._store.update(old, new, _of_store(since)), None)

    async def remove(self, entry: StoredResponse) -> None:
        """Remove one response."""
        await self._try(lambda: self._store.remove(entry), None)

    async def purge(self, selector: Selector, soft: bool = False) -> int:
        """Purge now, or as soon as the store is back."""
        count = await self._try(lambda: self._store.purge(selector, soft), -1)
        if count < 0:
            self._missed_ever += 1
            self._missed.append((selector, soft))
            if len(self._missed) > MAX_MISSED:
                self._missed = [(ALL, False)]
        return max(count, 0)

    async def entries(self) -> Sequence[StoredResponse]:
        """List what is stored."""
        return await self._try(self._store.entries, ())

    async def counts(self) -> StoreStats:
        """Return how much is stored."""
        return await self._try(self._store.counts, StoreStats(0, 0, 0))

    async def close(self) -> None:
        """Finish pending work."""
        try:
            await self._store.close()
        except Exception as error:
            self._reading.failed(error)
