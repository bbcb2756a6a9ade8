"""Writes lines in a thread of its own: whoever has something to be written never waits for it, nor for a disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from proxy_policies.access_log.log_file import write_all
from proxy_policies.queued_thread import QueuedThread

QUEUED = 32768
"""Lines that wait to be written at most: more than one process answers in a second."""
AT_ONCE = 256
"""Lines that are written by one system call: their text stays below 128 KiB, from which on malloc asks the kernel."""


class Writer[Item](QueuedThread[Item]):
    """Makes lines of items, one of each, and appends them to an open file."""

    def __init__(self, opened: int, lines: Callable[[Sequence[Item]], str], say: Callable[[str], None]) -> None:
        super().__init__("access log", "line", say, most=QUEUED, at_once=AT_ONCE)
        self._opened, self._lines = opened, lines
        self._is_torn = False
        self._open_again: Callable[[], int] | None = None

    def reopen(self, open_again: Callable[[], int]) -> None:
        """Go on in the file that is opened then, once what has come is written."""
        self._open_again = open_again
        self._wake.set()

    # In the thread

    def _take(self, items: Sequence[Item]) -> tuple[int, str]:
        """Write lines; what follows a line that was written in part begins a new one."""
        data = (("\n" if self._is_torn else "") + self._lines(items)).encode("utf-8", "backslashreplace")
        length, why = write_all(self._opened, data)
        if length == len(data):
            self._is_torn = False
            return len(items), ""
        whole = data.count(b"\n", 0, length) - bool(self._is_torn and length)
        self._is_torn = not data.endswith(b"\n", 0, length) if length else self._is_torn
        return whole, why

    def _between(self) -> None:
        open_again, self._open_again = self._open_again, None
        if open_again is None:
            return
        try:
            opened = open_again()
        except OSError as error:
            self._say(f"still writing to the previous file: {error.strerror}")
            return
        os.close(self._opened)
        self._opened, self._is_torn = opened, False

    def _release(self) -> None:
        os.close(self._opened)
