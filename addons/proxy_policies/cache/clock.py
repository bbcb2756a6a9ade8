"""Notices that the clock was put back, by a clock that never is.

Ages are counted by the time of day (RFC 9111, section 4.2.3). Where that is put back, what was stored before would be
taken for younger than it is by as much, once the time of its receipt has come again: nobody may rely on its age. Where
the clock is put forward, everything is older than it is, which is safe. Pure.
"""

TOLERATED = 1.0
"""Seconds by which it may go back at once: ages have whole ones."""


class Clock:
    """The time of day, as it was when it was looked at last. Both times are in seconds."""

    def __init__(self, time: float, monotonic: float) -> None:
        self._lead = time - monotonic

    def went_back(self, time: float, monotonic: float) -> float:
        """Return the seconds by which it was put back since the last look; 0 where it was not."""
        before, self._lead = self._lead, time - monotonic
        back = before - self._lead
        return back if back > TOLERATED else 0.0
