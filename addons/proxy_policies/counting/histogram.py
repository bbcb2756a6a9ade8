"""How often something took how long, in buckets with fixed bounds. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

SCRAPED = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds of Prometheus's buckets: its clients' usual ones, and some for hits and for slow origins."""
LEAST, STEPS, OCTAVES = 0.0005, 4, 18
BOUNDS = tuple(sorted({*SCRAPED, *(LEAST * 2 ** (step / STEPS) for step in range(STEPS * OCTAVES + 1))}))
"""Seconds, from half a millisecond to two minutes: each is a fifth more than the one before at most, which is how far a
percentile may be off."""
BUCKETS = len(BOUNDS) + 1


class Histogram:
    """Counts observations, in seconds."""

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        """By the bucket that they are in."""
        self.total = 0.0
        """Their sum."""

    def observe(self, seconds: float, times: int = 1) -> None:
        """Count an observation, which was made several times."""
        self.counts[bisect_left(BOUNDS, seconds)] += times
        if seconds > 0.0:
            self.total += seconds * times

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """Give how many took at most so long, by each bound that is scraped as text, `+Inf` the last."""
        for bound in SCRAPED:
            yield str(bound), sum(self.counts[: bisect_left(BOUNDS, bound) + 1])
        yield "+Inf", self.count


def percentile(counts: Sequence[int], share: float) -> float | None:
    """Return the seconds that a share (0.5: the median) took at most, None of nothing; the last bound if longer."""
    wanted, so_far = share * sum(counts), 0
    for bound, count in zip((*BOUNDS, BOUNDS[-1]), counts, strict=True):
        so_far += count
        if count and so_far >= wanted:
            return bound
    return None
