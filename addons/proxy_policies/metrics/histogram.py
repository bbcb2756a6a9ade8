"""How often something took how long, in buckets with fixed bounds. Pure."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds: those of Prometheus's clients, and some for hits and for slow origins."""


class Histogram:
    """Counts observations, in seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        """Their sum."""

    def observe(self, seconds: float, times: int = 1) -> None:
        """Count an observation, which was made several times."""
        self._counts[bisect_left(BOUNDS, seconds)] += times
        self.total += max(0.0, seconds) * times

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self._counts)

    def cumulative(self) -> list[tuple[str, int]]:
        """Return how many took at most so long, by each bound as text, `+Inf` the last."""
        found, so_far = [], 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self._counts, strict=True):
            so_far += count
            found.append((bound, so_far))
        return found
