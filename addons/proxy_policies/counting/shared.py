"""The one collector of this process, which counts as long as anybody reads it."""

from __future__ import annotations

from collections.abc import Callable

from proxy_policies.counting.collector import Collector
from proxy_policies.finished import reporting


class Counting:
    """Subscribes a collector to what has ended while it has readers; the first one begins anew."""

    def __init__(self) -> None:
        self._readers = 0
        self._collector = Collector()
        self._unsubscribe: Callable[[], None] = lambda: None

    def begin(self) -> None:
        """Count, for one reader more."""
        self._readers += 1
        if self._readers == 1:
            self._collector = Collector()
            self._unsubscribe = reporting.subscribe(self._collector.take)

    def end(self) -> None:
        """Count for one reader less."""
        self._readers -= 1
        if not self._readers:
            self._unsubscribe()

    def read(self) -> Collector:
        """Return the counts as they are now."""
        reporting.deliver()
        self._collector.fold()
        return self._collector


COUNTING = Counting()
