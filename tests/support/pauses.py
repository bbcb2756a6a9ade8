"""Repeats tests whose client must act within the proxy's time limits, if a loaded machine has delayed the client."""

import functools
import time
from collections.abc import Callable


class Pauses:
    """Measures the pauses between a client's actions: `with pauses: sock.sendall(…)`."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all measurements."""
        self.longest = 0.0
        """The longest pause between two actions, in seconds."""
        self._last = self._begun = 0.0

    def __enter__(self) -> None:
        self._begun = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._note(self._begun if kind else time.monotonic())  # an action that fails may have waited long for that
        self._last = self._begun

    def _note(self, now: float) -> None:
        self.longest = max(self.longest, now - (self._last or now))


def unless_late(limit: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Repeat a failed test if its client paused for `limit` seconds: the failure then says nothing about the proxy.

    The test has the argument `pauses`, with which it measures the actions that must not be late.
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
