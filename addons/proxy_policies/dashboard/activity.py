"""What goes on: the counts that /metrics has, second by second, and who and what stands out. Pure."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from proxy_policies.dashboard.percentiles import BUCKETS, bucket_of, percentile
from proxy_policies.dashboard.ranking import Hosts, Recent, Slowest, longest, top
from proxy_policies.finished import Finished
from proxy_policies.metrics.collector import Collector

KEPT = 300
"""Seconds of which there are points."""
LATELY = 60
"""Seconds whose times make the percentiles: fewer would jump."""
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class Activity(Collector):
    """Counts what ends, and remembers what stands out of it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._clock = clock
        self._hosts, self._slowest = Recent(Hosts), Recent(Slowest)
        self.times = [0] * BUCKETS
        """Requests by the bucket of how long they took."""

    def _count_request(self, what: Finished, seconds: float, times: int) -> None:
        super()._count_request(what, seconds, times)
        now = self._clock()
        self.times[bucket_of(seconds)] += times
        self._hosts.at(now).add(what.asked.host, times, (what.sent or 0) * times)
        self._slowest.at(now).add(seconds, what)

    def top_hosts(self) -> list[tuple[bytes, int, int]]:
        """Return the hosts that were asked most of late, with requests and bytes."""
        return top(self._hosts.all(self._clock()))

    def slowest(self) -> list[Finished]:
        """Return the requests that took longest of late."""
        return longest(self._slowest.all(self._clock()))


class Point(NamedTuple):
    """What was counted in a second."""

    at: float
    """POSIX time of its end."""
    counts: Mapping[str, int]
    times: Sequence[int]


class Series:
    """The last minutes, a point a second."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=KEPT)
        self._before: tuple[Mapping[str, int], Sequence[int]] = {}, [0] * BUCKETS

    def add(self, at: float, totals: Mapping[str, int], times: Sequence[int]) -> None:
        """Take the counts as they are at the end of a second."""
        counts, before = self._before
        more = {name: total - counts.get(name, 0) for name, total in totals.items()}
        self._points.append(Point(at, more, [now - then for now, then in zip(times, before, strict=True)]))
        self._before = dict(totals), list(times)

    def since(self, at: float) -> list[dict[str, Any]]:
        """Return the points after a time, as JSON can hold them."""
        return [{"at": point.at, **point.counts} for point in self._points if point.at > at]

    def percentiles(self) -> dict[str, float | None]:
        """Return how long requests took of late, in seconds; None where there were none."""
        lately = [point.times for point in self._points][-LATELY:]
        counts = [sum(column) for column in zip(*lately, strict=True)] or [0] * BUCKETS
        return {name: percentile(counts, share) for name, share in SHARES.items()}
