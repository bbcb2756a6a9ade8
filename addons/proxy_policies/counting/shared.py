"""The collector that all readers in this process share; it counts while there are readers."""

from __future__ import annotations

from collections.abc import Callable

from proxy_policies.counting.collector import Collector
from proxy_policies.finished import reporting


class Counting:
    """Has a collector subscribed while there are readers; the first reader starts with new counts."""

    def __init__(self) -> None:
        self._readers = 0
        self._collector = Collector()
        self._unsubscribe: Callable[[], None] = lambda: None

    def begin(self) -> None:
        """Add a reader."""
        self._readers += 1
        if self._readers == 1:
            self._collector = Collector()
            self._unsubscribe = reporting.subscribe(self._collector.take)

    def end(self) -> None:
        """Remove a reader."""
        self._readers -= 1
        if not self._readers:
            self._unsubscribe()

    def read(self) -> Collector:
        """Return the present counts."""
        reporting.deliver()
        return self._collector


COUNTING = Counting()
