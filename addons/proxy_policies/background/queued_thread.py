"""A thread that processes items from a bounded queue, so that the event loop never waits for a disk or a network.

Items that do not fit the queue, or cannot be processed, are dropped, counted, and reported.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence

from proxy_policies.log_lines import Throttle, quantity

QUEUE_FULL = "the queue is full"
NO_TIME_LEFT = "not processed before the proxy ended"


class QueuedThread[Item](ABC):
    """Processes items, in order, from `start` to `close`.

    `unit` is the log's word for an item. `warn` is called in the thread, throttled, with a text about lost items. At
    most `max_queued` items wait. At most `batch_size` are processed at once; `batch_delay` is how many seconds a batch
    is waited for once there is an item.
    """

    def __init__(
        self,
        name: str,
        unit: str,
        warn: Callable[[str], None],
        *,
        max_queued: int,
        batch_size: int,
        batch_delay: float = 0.0,
    ) -> None:
        self._unit, self._warn = unit, warn
        self._max_queued, self._batch_size, self._batch_delay = max_queued, batch_size, batch_delay
        self._queue: deque[Sequence[Item]] = deque()  # as they were put, several at once
        self._wake, self._closing = threading.Event(), threading.Event()
        self._throttle, self._reason, self._reported = Throttle(), QUEUE_FULL, 0
        self._queued = self._begun = self._rejected = self._failed = 0  # each counted by one thread
        self.processed = 0
        """Number of items processed."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)  # it may hang in a system call

    @property
    def lost(self) -> int:
        """Number of items that were not processed."""
        return self._rejected + self._failed

    def start(self) -> None:
        """Start processing."""
        self._thread.start()

    def put(self, items: Sequence[Item]) -> None:
        """Queue items, except those for which the queue has no room; never waits."""
        admitted = items[: max(0, self._max_queued - (self._queued - self._begun))]
        if len(admitted) < len(items):
            self._rejected, self._reason = self._rejected + len(items) - len(admitted), QUEUE_FULL
        self._queued += len(admitted)
        self._queue.append(admitted)
        self._wake.set()

    def close(self, timeout: float) -> None:
        """End the thread once it has processed the queue; wait for that at most `timeout` seconds."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout)

    def end(self, timeout: float) -> None:
        """Close, and report items as lost that are not processed in time."""
        self.close(timeout)
        if self._thread.is_alive():
            self._rejected += self._queued - self.processed - self._failed
            self._reason = NO_TIME_LEFT
            self._report_lost()

    # In the thread

    @abstractmethod
    def _process(self, items: Sequence[Item]) -> tuple[int, str]:
        """Process a batch; return how many items were processed, and why not all, if so."""

    def _on_empty(self) -> None:  # noqa: B027 - optional
        """Act when the queue is empty."""

    def _release(self) -> None:  # noqa: B027 - optional
        """Release resources: the thread ends."""

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._batch_delay:
                self._closing.wait(self._batch_delay)
            self._process_queue()
            if self.lost > self._reported and self._throttle.admit("", time.monotonic()) is not None:
                self._report_lost()
            self._on_empty()
        self._process_queue()
        if self.lost > self._reported:
            self._report_lost()
        self._release()

    def _process_queue(self) -> None:
        while self._queue:
            items = self._queue.popleft()
            while self._queue and len(items) < self._batch_size:
                items = [*items, *self._queue.popleft()]
            for at in range(0, len(items), self._batch_size):
                self._process_batch(items[at : at + self._batch_size])

    def _process_batch(self, items: Sequence[Item]) -> None:
        self._begun += len(items)
        try:
            processed, reason = self._process(items)
        except Exception as error:  # the next batch may succeed
            processed, reason = 0, f"{type(error).__name__}: {error}"
        self.processed += processed
        if processed < len(items):
            self._failed, self._reason = self._failed + len(items) - processed, reason

    def _report_lost(self) -> None:
        lost, self._reported = self.lost - self._reported, self.lost
        self._warn(f"{quantity(lost, self._unit)} lost: {self._reason}")
