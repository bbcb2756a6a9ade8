"""The busiest hosts and the slowest requests of the last minutes, in bounded memory. Pure."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

SPAN, SPANS = 60.0, 5
"""Seconds of a span of time, and the number of spans kept: the last five minutes."""
MAX_HOSTS = 512
"""Hosts counted in a span; beyond that, the half with the fewest requests is dropped."""
LISTED = 10
"""Number of hosts and of requests that are listed."""


class RecentSpans[T]:
    """An object for each of the last spans of time."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._spans: deque[tuple[int, T]] = deque(maxlen=SPANS)

    def at(self, now: float) -> T:
        """Return the object of the span with this time, or of the latest: clocks may be set back."""
        number = int(now // SPAN)
        if not self._spans or self._spans[-1][0] < number:
            self._spans.append((number, self._make()))
        return self._spans[-1][1]

    def all(self, now: float) -> list[T]:
        """Return the objects that are not too old."""
        return [kept for number, kept in self._spans if number > now // SPAN - SPANS]


class HostTotals:
    """Counts requests and bytes by host; hosts with few requests may be dropped, and counted from 0 again."""

    def __init__(self) -> None:
        self._counts: dict[bytes, list[int]] = {}

    def add(self, host: bytes, requests: int, size: int) -> None:
        """Count requests, and the bytes of all their responses."""
        counts = self._counts.get(host)
        if counts is None:
            if len(self._counts) >= MAX_HOSTS:
                self._counts = dict(heapq.nlargest(MAX_HOSTS // 2, self._counts.items(), key=lambda item: item[1]))
            counts = self._counts[host] = [0, 0]
        counts[0] += requests
        counts[1] += size

    def items(self) -> Iterable[tuple[bytes, list[int]]]:
        """Return requests and bytes by host."""
        return self._counts.items()


def busiest(spans: Iterable[HostTotals], count: int = LISTED) -> list[tuple[bytes, int, int]]:
    """Return the hosts with the most requests, with requests and bytes."""
    total = HostTotals()
    for span in spans:
        for host, (requests, size) in span.items():
            total.add(host, requests, size)
    ranked = heapq.nlargest(count, total.items(), key=lambda item: (item[1], item[0]))
    return [(host, requests, size) for host, (requests, size) in ranked]


class Slowest:
    """Keeps the slowest requests."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Any]] = []
        self._numbers = itertools.count()

    def add(self, seconds: float, record: Any) -> None:
        """Add a request that took so many seconds."""
        if len(self._heap) < LISTED:
            heapq.heappush(self._heap, (seconds, next(self._numbers), record))
        elif seconds > self._heap[0][0]:
            heapq.heapreplace(self._heap, (seconds, next(self._numbers), record))

    def items(self) -> list[tuple[float, int, Any]]:
        """Return (seconds, number, record) of each, in no particular order."""
        return list(self._heap)


def slowest(spans: Iterable[Slowest]) -> list[Any]:
    """Return the slowest records, the slowest first."""
    found = heapq.nlargest(LISTED, [item for span in spans for item in span.items()], key=lambda item: item[:2])
    return [record for _, _, record in found]
