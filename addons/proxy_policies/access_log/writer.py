"""Writes lines in a thread, so that the event loop never waits for a disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from proxy_policies.access_log.log_file import write_all
from proxy_policies.background.queued_thread import QueuedThread

MAX_QUEUED = 32768
"""Lines waiting to be written: more than one process answers in a second."""
BATCH_SIZE = 256
"""Lines written by one system call: their text stays below 128 KiB, from which on malloc maps memory each time."""


class Writer[Item](QueuedThread[Item]):
    """Formats a line for each item, and appends the lines to an open file."""

    def __init__(self, descriptor: int, lines: Callable[[Sequence[Item]], bytes], warn: Callable[[str], None]) -> None:
        super().__init__("access log", "line", warn, max_queued=MAX_QUEUED, batch_size=BATCH_SIZE)
        self._descriptor, self._lines = descriptor, lines
        self._is_torn = False
        """The last line was written in part."""
        self._open_new: Callable[[], int] | None = None

    def reopen(self, open_new: Callable[[], int]) -> None:
        """Continue with the descriptor that the function returns, once the queued lines are written."""
        self._open_new = open_new
        self._wake.set()

    # In the thread

    def _process(self, items: Sequence[Item]) -> tuple[int, str]:
        """Write lines, after a line feed if the last line was written in part."""
        lines = self._lines(items)
        data = b"\n" + lines if self._is_torn else lines
        length, error = write_all(self._descriptor, data)
        if length == len(data):
            self._is_torn = False
            return len(items), ""
        whole = data.count(b"\n", 0, length) - bool(self._is_torn and length)
        self._is_torn = not data.endswith(b"\n", 0, length) if length else self._is_torn
        return whole, error

    def _on_empty(self) -> None:
        open_new, self._open_new = self._open_new, None
        if open_new is None:
            return
        try:
            descriptor = open_new()
        except OSError as error:
            self._warn(f"still writing to the previous file: {error.strerror}")
            return
        os.close(self._descriptor)
        self._descriptor, self._is_torn = descriptor, False

    def _release(self) -> None:
        os.close(self._descriptor)
