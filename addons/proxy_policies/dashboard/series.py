"""The counts of each of the last seconds. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from proxy_policies.counting.histogram import BUCKETS, percentile

KEPT = 300
"""Seconds for which points are kept."""
PERCENTILE_SPAN = 60
"""Seconds from which percentiles are computed: with fewer, they would fluctuate."""
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class Point(NamedTuple):
    """The counts of one second."""

    at: float
    """POSIX time of its end."""
    counts: Mapping[str, int]
    times: Sequence[int]


class Series:
    """The last minutes, with a point for each second."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=KEPT)
        self._before: tuple[Mapping[str, int], Sequence[int]] | None = None

    def add(self, at: float, totals: Mapping[str, int], times: Sequence[int]) -> None:
        """Add the total counts at the end of a second; the first call sets the base."""
        if self._before is not None:
            counts, before = self._before
            more = {name: total - counts.get(name, 0) for name, total in totals.items()}
            self._points.append(Point(at, more, [now - then for now, then in zip(times, before, strict=True)]))
        self._before = dict(totals), list(times)

    def since(self, at: float) -> list[dict[str, Any]]:
        """Return the points after a time, as JSON values."""
        return [{"at": point.at, **point.counts} for point in self._points if point.at > at]

    def percentiles(self) -> dict[str, float | None]:
        """Return percentiles of the durations of recent requests, in seconds; None if there were none."""
        recent = [point.times for point in self._points][-PERCENTILE_SPAN:]
        counts = [sum(column) for column in zip(*recent, strict=True)] or [0] * BUCKETS
        return {name: percentile(counts, share) for name, share in SHARES.items()}
