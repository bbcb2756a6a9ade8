"""A histogram of durations, with fixed buckets. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

PROMETHEUS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds, in seconds, of the buckets for Prometheus: its usual ones, and some for hits and for slow origins."""
SHORTEST, STEPS, OCTAVES = 0.0005, 4, 18
BOUNDS = tuple(sorted({*PROMETHEUS_BOUNDS, *(SHORTEST * 2 ** (step / STEPS) for step in range(STEPS * OCTAVES + 1))}))
"""Upper bounds in seconds, from half a millisecond to two minutes, each at most a fifth more than the one before; a
percentile has this error."""
BUCKETS = len(BOUNDS) + 1


class Histogram:
    """Counts durations, in seconds."""

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        """The number of durations in each bucket."""
        self.total = 0.0
        """The sum of all durations."""

    def observe(self, seconds: float, times: int = 1) -> None:
        """Count a duration that was observed so many times."""
        self.counts[bisect_left(BOUNDS, seconds)] += times
        if seconds > 0.0:
            self.total += seconds * times

    @property
    def count(self) -> int:
        """The number of all durations."""
        return sum(self.counts)

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """Yield the number of durations up to each Prometheus bound, with the bound as text; `+Inf` is the last."""
        for bound in PROMETHEUS_BOUNDS:
            yield str(bound), sum(self.counts[: bisect_left(BOUNDS, bound) + 1])
        yield "+Inf", self.count


def percentile(counts: Sequence[int], share: float) -> float | None:
    """Return the duration in seconds that a share (0.5: the median) does not exceed; None if there are none.

    The last bound stands for all longer ones.
    """
    wanted, so_far = share * sum(counts), 0
    for bound, count in zip((*BOUNDS, BOUNDS[-1]), counts, strict=True):
        so_far += count
        if count and so_far >= wanted:
            return bound
    return None
