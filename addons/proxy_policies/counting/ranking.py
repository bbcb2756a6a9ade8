"""Which hosts were asked most, and which requests took longest, of late. Pure, and bounded whatever clients ask for."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

SPAN, SPANS = 60.0, 5
"""Seconds of a span, and how many are looked at: the last five minutes."""
MOST_HOSTS = 512
"""Hosts that are counted in a span; then the half that was asked least is forgotten."""
SLOWEST = 10


class Recent[T]:
    """Keeps something of each of the last spans of time."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._spans: deque[tuple[int, T]] = deque(maxlen=SPANS)

    def at(self, now: float) -> T:
        """Return that of the span in which a time is, or of a later one: clocks go back."""
        number = int(now // SPAN)
        if not self._spans or self._spans[-1][0] < number:
            self._spans.append((number, self._make()))
        return self._spans[-1][1]

    def all(self, now: float) -> list[T]:
        """Return those that are not too old."""
        return [kept for number, kept in self._spans if number > now // SPAN - SPANS]


class Hosts:
    """Counts requests and bytes by host. What was asked least may have too few: it is forgotten and counted anew."""

    def __init__(self) -> None:
        self._counts: dict[bytes, list[int]] = {}

    def add(self, host: bytes, requests: int, size: int) -> None:
        """Count requests, and the bytes that they were answered with in all."""
        counts = self._counts.get(host)
        if counts is None:
            if len(self._counts) >= MOST_HOSTS:
                self._counts = dict(heapq.nlargest(MOST_HOSTS // 2, self._counts.items(), key=lambda item: item[1]))
            counts = self._counts[host] = [0, 0]
        counts[0] += requests
        counts[1] += size

    def items(self) -> Iterable[tuple[bytes, list[int]]]:
        """Return requests and bytes by host."""
        return self._counts.items()


def top(spans: Iterable[Hosts], most: int = SLOWEST) -> list[tuple[bytes, int, int]]:
    """Return the hosts that were asked most, with requests and bytes."""
    total = Hosts()
    for span in spans:
        for host, (requests, size) in span.items():
            total.add(host, requests, size)
    ranked = heapq.nlargest(most, total.items(), key=lambda item: (item[1], item[0]))
    return [(host, requests, size) for host, (requests, size) in ranked]


class Slowest:
    """Keeps the requests that took longest."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Any]] = []
        self._numbers = itertools.count()

    def add(self, seconds: float, what: Any) -> None:
        """Take one that took so long."""
        if len(self._heap) < SLOWEST:
            heapq.heappush(self._heap, (seconds, next(self._numbers), what))
        elif seconds > self._heap[0][0]:
            heapq.heapreplace(self._heap, (seconds, next(self._numbers), what))

    def items(self) -> list[tuple[float, int, Any]]:
        """Return them, with their seconds first, in no order."""
        return list(self._heap)


def longest(spans: Iterable[Slowest]) -> list[Any]:
    """Return those that took longest, the longest first."""
    found = heapq.nlargest(SLOWEST, [item for span in spans for item in span.items()], key=lambda item: item[:2])
    return [what for _, _, what in found]
