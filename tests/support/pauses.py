"""Clients that have to keep up with the proxy's clock, on a machine that may stop them for longer than it allows."""

import functools
import time
from collections.abc import Callable


class Pauses:
    """Times what a client does: `with pauses: sock.sendall(…)`."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.longest = 0.0
        """Seconds, at most, between one thing that it did and the next."""
        self._last = self._begun = 0.0

    def __enter__(self) -> None:
        self._begun = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._note(self._begun if kind else time.monotonic())  # what fails may have waited for it to fail
        self._last = self._begun

    def _note(self, now: float) -> None:
        self.longest = max(self.longest, now - (self._last or now))


def unless_late(limit: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have a test that fails run again if its client paused for `limit` seconds: then it says nothing of the proxy.

    The test has the argument `pauses`, and times with it whatever may not be too long in coming.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def in_time(*arguments: object, pauses: Pauses, **named: object) -> None:
            while True:
                pauses.clear()
                try:
                    return test(*arguments, pauses=pauses, **named)
                except (AssertionError, OSError):
                    if pauses.longest < limit:
                        raise

        return in_time

    return decorate
