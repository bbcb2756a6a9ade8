"""What goes on, second by second. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from proxy_policies.counting.histogram import BUCKETS, percentile

KEPT = 300
"""Seconds of which there are points."""
LATELY = 60
"""Seconds whose times make the percentiles: fewer would jump."""
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


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
        self._before: tuple[Mapping[str, int], Sequence[int]] | None = None

    def add(self, at: float, totals: Mapping[str, int], times: Sequence[int]) -> None:
        """Take the counts as they are at the end of a second; the first ones are where it begins."""
        if self._before is not None:
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
