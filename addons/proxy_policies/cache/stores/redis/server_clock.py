"""The clock of a Redis server, by which all proxies that share it keep times. Pure."""

from __future__ import annotations

from collections.abc import Callable

CLOCKS_AGREE = 1.0
"""Seconds by which two clocks may differ and still count as equal: Age and Date have whole seconds."""


class ServerClock:
    """How far the server's clock is ahead of `ours`, a function that returns POSIX time."""

    def __init__(self, ours: Callable[[], float]) -> None:
        self.ours = ours
        self.ahead = 0.0
        """Seconds by which the server's clock is certainly ahead of ours."""

    def compare(self, sent: float, time: tuple[int, int] | Exception) -> None:
        """Note the server's answer to TIME, in seconds and microseconds, which was asked for at `sent`."""
        if isinstance(time, Exception):
            return
        theirs = time[0] + time[1] / 1e6
        ahead = max(theirs - self.ours(), min(theirs - sent, 0.0))
        self.ahead = ahead if abs(ahead) > CLOCKS_AGREE else 0.0

    def now(self) -> float:
        """Return the time by the server's clock."""
        return self.ours() + self.ahead
