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


class QueuedThread[Item](ABC):
    """Takes items, in order, from `start` to `close`.

    `unit` is what the log calls one of them. `say` is called in the thread with a text about what is lost, one in a
    while. `most` wait at most, at most `at_once` are taken together, and they are gathered for `gathered` seconds.
    """

    def __init__(
        self, name: str, unit: str, say: Callable[[str], None], *, most: int, at_once: int, gathered: float = 0.0
    ) -> None:
        self._unit, self._say, self._most, self._at_once, self._gathered = unit, say, most, at_once, gathered
        self._queue: deque[Item] = deque()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._throttle, self._why, self._said = Throttle(), TOO_SLOW, 0
        self._unqueued = self._untaken = 0  # each counted by one thread
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
        admitted = items[: max(0, self._most - len(self._queue))]
        self._unqueued += len(items) - len(admitted)
        self._queue.extend(admitted)
        self._wake.set()

    def close(self, seconds: float) -> None:
        """Take what waits, and end; wait for that, but not for longer."""
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)

    # In the thread

    @abstractmethod
    def _take(self, items: Sequence[Item]) -> tuple[int, str]:
        """Take items; return how many were taken, and why those were not all: "" when they were."""

    def _between(self) -> None:  # noqa: B027 - most have nothing to do then
        """Do what is to be done when the queue is empty."""

    def _end(self) -> None:  # noqa: B027 - likewise
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
        self._end()

    def _take_queued(self) -> None:
        queue = self._queue
        while queue:
            items = [queue.popleft() for _ in range(min(self._at_once, len(queue)))]
            try:
                taken, why = self._take(items)
            except Exception as error:  # of which the others are not to suffer
                taken, why = 0, f"{type(error).__name__}: {error}"
            self.taken += taken
            self._untaken += len(items) - taken
            self._why = why or TOO_SLOW

    def _say_lost(self) -> None:
        lost, self._said = self.lost - self._said, self.lost
        self._say(f"{lost} {self._unit}{'' if lost == 1 else 's'} lost: {self._why}")
