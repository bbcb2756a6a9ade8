"""The subscription of a policy whose thread processes every record: the access log's lines, the traces' spans."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from proxy_policies.background.queued_thread import QueuedThread
from proxy_policies.finished import reporting

CLOSE_TIMEOUT = 2.0
"""Seconds to process queued records when mitmproxy ends."""


class SubscribedThread[T: QueuedThread[reporting.Item]]:
    """A thread that gets every record while it runs; it is replaced when options change."""

    def __init__(self) -> None:
        self.thread: T | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    def replace(self, thread: T | None) -> None:
        """Start this thread, if any, once the present one has had its last records, which it still processes."""
        if (before := self._stop()) is not None:
            before.close(0.0)
        if thread is not None:
            self.thread = thread
            thread.start()
            self._unsubscribe = reporting.subscribe(thread.put)

    async def end(self) -> None:
        """Let the thread process what is queued, and end."""
        if (stopped := self._stop()) is not None:
            await asyncio.to_thread(stopped.end, CLOSE_TIMEOUT)

    def _stop(self) -> T | None:
        self._unsubscribe()
        self._unsubscribe = lambda: None
        stopped, self.thread = self.thread, None
        return stopped

    def statistics(self, unit: str) -> Mapping[str, int]:
        """Return the number of units processed, and of those lost; empty without a thread."""
        return {unit: self.thread.processed, "lost": self.thread.lost} if self.thread is not None else {}
