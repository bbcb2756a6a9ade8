"""Writes lines in a thread of its own: whoever has something to be written never waits for it, nor for a disk."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from proxy_policies.access_log.log_file import write_all
from proxy_policies.log_lines import Throttle

QUEUED = 32768
"""Lines that wait to be written at most: more than one process answers in a second."""
AT_ONCE = 128
"""Lines that are written by one system call: their text stays below 128 KiB, from which on malloc asks the kernel."""
TOO_SLOW = "lines come faster than they can be written"


class Writer[Item]:
    """Makes lines of items, one of each, and appends them to an open file, from `start` to `close`.

    `say` is called in the thread with a text about what could not be written, one in a while.
    """

    def __init__(self, opened: int, lines: Callable[[list[Item]], str], say: Callable[[str], None]) -> None:
        self._opened, self._lines, self._say = opened, lines, say
        self._queue: deque[Item] = deque()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._is_torn = False
        self._open_again: Callable[[], int] | None = None
        self._throttle, self._why, self._said = Throttle(), TOO_SLOW, 0
        self._unqueued = self._unwritten = 0  # each counted by one thread
        self.written = 0
        """Lines."""
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)  # a disk may hang for ever

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._unqueued + self._unwritten

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, items: Sequence[Item]) -> None:
        """Have lines written, but for those that would be too many to wait for that."""
        admitted = items[: max(0, QUEUED - len(self._queue))]
        self._unqueued += len(items) - len(admitted)
        self._queue.extend(admitted)
        self._wake.set()

    def reopen(self, open_again: Callable[[], int]) -> None:
        """Go on in the file that is opened then, once what has come is written."""
        self._open_again = open_again
        self._wake.set()

    def close(self, seconds: float) -> None:
        """Write what waits, and close the file; wait for that, but not for longer."""
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)

    # In the thread

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._write_queued()
            self._say_lost()
            self._change_file()
        self._write_queued()
        if self.lost > self._said:
            self._say(self._lost_line())
        os.close(self._opened)

    def _change_file(self) -> None:
        open_again, self._open_again = self._open_again, None
        if open_again is None:
            return
        try:
            opened = open_again()
        except OSError as error:
            self._say(f"goes on in the file that it was in: {error.strerror}")
            return
        os.close(self._opened)
        self._opened, self._is_torn = opened, False

    def _write_queued(self) -> None:
        queue = self._queue
        while queue:
            self._write([queue.popleft() for _ in range(min(AT_ONCE, len(queue)))])

    def _write(self, items: list[Item]) -> None:
        """Write lines; what follows a line that was written in part begins a new one."""
        data = (("\n" if self._is_torn else "") + self._lines(items)).encode("utf-8", "backslashreplace")
        length, why = write_all(self._opened, data)
        if length == len(data):
            whole, self._is_torn = len(items), False
        else:
            whole = data.count(b"\n", 0, length) - bool(self._is_torn and length)
            self._is_torn = not data.endswith(b"\n", 0, length) if length else self._is_torn
        self.written += whole
        self._unwritten += len(items) - whole
        self._why = why or TOO_SLOW

    def _say_lost(self) -> None:
        if self.lost > self._said and self._throttle.admit("", time.monotonic()) is not None:
            self._say(self._lost_line())

    def _lost_line(self) -> str:
        lost, self._said = self.lost - self._said, self.lost
        return f"{lost} {'line' if lost == 1 else 'lines'} lost: {self._why}"
