"""How long requests took: counted in narrow buckets, of which percentiles are read. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

LEAST, STEPS, OCTAVES = 0.0005, 4, 18
BOUNDS = tuple(LEAST * 2 ** (step / STEPS) for step in range(STEPS * OCTAVES + 1))
"""Seconds, from half a millisecond to two minutes: each is a fifth more than the one before, which is how far a
percentile may be off."""
BUCKETS = len(BOUNDS) + 1


def bucket_of(seconds: float) -> int:
    """Return the bucket of a time."""
    return bisect_left(BOUNDS, seconds)


def percentile(counts: Sequence[int], share: float) -> float | None:
    """Return the seconds that a share (0.5: the median) took at most, None of nothing; the last bound if longer."""
    wanted, so_far = share * sum(counts), 0
    for bound, count in zip((*BOUNDS, BOUNDS[-1]), counts, strict=True):
        so_far += count
        if count and so_far >= wanted:
            return bound
    return None
