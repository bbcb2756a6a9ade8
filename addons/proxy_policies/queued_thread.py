"""A thread that does something with what is put into its queue: whoever puts it there never waits, nor does a disk's or
a network's slowness hold anybody up. What it cannot do is lost, counted, and said.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence

from proxy_policies.log_lines import Throttle

TOO_SLOW = "they come faster than they can be taken"
TOO_LATE = "they could not be taken before the end"


class QueuedThread[Item](ABC):
    """Takes items, in order, from `start` to `close`.

    `unit` is what the log calls one of them. `say` is called in the thread with a text about what is lost, one in a
    while. `most` wait at most, at most `at_once` are taken together, and they are gathered for `gathered` seconds.
    """

    def __init__(
        self, name: str, unit: str, say: Callable[[str], None], *, most: int, at_once: int, gathered: float = 0.0
    ) -> None:
        self._unit, self._say, self._most, self._at_once, self._gathered = unit, say, most, at_once, gathered
        self._queue: deque[Sequence[Item]] = deque()  # as they came, many at once
        self._wake, self._closing = threading.Event(), threading.Event()
        self._throttle, self._why, self._said = Throttle(), TOO_SLOW, 0
        self._queued = self._begun = self._unqueued = self._untaken = 0  # each counted by one thread
        self.taken = 0
        """Items that were."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)  # what it waits for may hang for ever

    @property
    def lost(self) -> int:
        """Items that were not taken."""
        return self._unqueued + self._untaken

    def start(self) -> None:
        """Begin to take them."""
        self._thread.start()

    def put(self, items: Sequence[Item]) -> None:
        """Have items taken, but for those that would be too many to wait for that."""
        admitted = items[: max(0, self._most - (self._queued - self._begun))]
        if len(admitted) < len(items):
            self._unqueued, self._why = self._unqueued + len(items) - len(admitted), TOO_SLOW
        self._queued += len(admitted)
        self._queue.append(admitted)
        self._wake.set()

    def close(self, seconds: float) -> None:
        """Take what waits, and end; wait for that, but not for longer."""
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)

    def end(self, seconds: float) -> None:
        """Close it where nobody will wait any longer: what is not taken by then is lost."""
        self.close(seconds)
        if self._thread.is_alive():
            self._unqueued, self._why = self._unqueued + self._queued - self.taken - self._untaken, TOO_LATE
            self._say_lost()

    # In the thread

    @abstractmethod
    def _take(self, items: Sequence[Item]) -> tuple[int, str]:
        """Take items; return how many were taken, and why those were not all."""

    def _between(self) -> None:  # noqa: B027 - most have nothing to do then
        """Do what is to be done when the queue is empty."""

    def _release(self) -> None:  # noqa: B027 - likewise
        """Let go of everything."""

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._gathered:
                self._closing.wait(self._gathered)
            self._take_queued()
            if self.lost > self._said and self._throttle.admit("", time.monotonic()) is not None:
                self._say_lost()
            self._between()
        self._take_queued()
        if self.lost > self._said:
            self._say_lost()
        self._release()

    def _take_queued(self) -> None:
        while self._queue:
            items = self._queue.popleft()
            while self._queue and len(items) < self._at_once:  # that few are not taken one by one
                items = [*items, *self._queue.popleft()]
            for at in range(0, len(items), self._at_once):
                self._take_some(items[at : at + self._at_once])

    def _take_some(self, items: Sequence[Item]) -> None:
        self._begun += len(items)
        try:
            taken, why = self._take(items)
        except Exception as error:  # of which the others are not to suffer
            taken, why = 0, f"{type(error).__name__}: {error}"
        self.taken += taken
        if taken < len(items):
            self._untaken, self._why = self._untaken + len(items) - taken, why

    def _say_lost(self) -> None:
        lost, self._said = self.lost - self._said, self.lost
        self._say(f"{lost} {self._unit}{'' if lost == 1 else 's'} lost: {self._why}")
