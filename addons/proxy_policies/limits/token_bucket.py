"""So many at once, and so many a second after that. Pure."""

from __future__ import annotations


class TokenBucket:
    """Holds up to `burst` tokens, and gets `rate` new ones a second."""

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._tokens = burst
        self._at: float | None = None

    def take(self, count: float, now: float) -> bool:
        """Take tokens at `now`, seconds; False, with none taken, when there are too few."""
        self._refill(now)
        if self._tokens < count:
            return False
        self._tokens -= count
        return True

    def put(self, count: float) -> None:
        """Add tokens."""
        self._tokens = min(self._burst, self._tokens + count)

    def _refill(self, now: float) -> None:
        if self._at is not None:
            self.put(max(0.0, now - self._at) * self._rate)
        self._at = now
