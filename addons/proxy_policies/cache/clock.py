"""Detects that the clock was set back, by comparison with a monotonic clock.

Ages are computed from the time of day (RFC 9111, section 4.2.3). After the clock is set back, entries stored before
would seem younger than they are, once their time of receipt has passed again: their age is unreliable. If the clock is
set forward, everything seems older than it is, which is safe. Pure.
"""

TOLERATED = 1.0
"""Seconds by which it may go back at once: ages are in whole seconds."""


class Clock:
    """The time of day at the last check. Both times are in seconds."""

    def __init__(self, time: float, monotonic: float) -> None:
        self._lead = time - monotonic

    def went_back(self, time: float, monotonic: float) -> float:
        """Return the seconds by which it was set back since the last check; 0 if it was not."""
        before, self._lead = self._lead, time - monotonic
        back = before - self._lead
        return back if back > TOLERATED else 0.0
