"""Appends lines to a file or to standard output, in a thread, so that the event loop never waits for a disk.

A new file is readable by its owner only, as URLs show what people read; the owner can change that (`chmod`, or `create`
of logrotate). An existing file keeps its mode.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

from proxy_policies.background.queued_thread import QueuedThread
from proxy_policies.options.files import parse_path

STANDARD_OUTPUT = "-"
MODE = 0o600
MAX_QUEUED = 32768
"""Lines waiting to be written: more than one process answers in a second."""
BATCH_SIZE = 256
"""Lines written by one system call: their text stays below 128 KiB, from which on malloc maps memory each time."""


def open_log(path: str) -> int:
    """Return a descriptor of the file, which the caller must close. Raise OSError, or ValueError for an invalid path.

    Never waits: a pipe without a reader is an error.
    """
    if path == STANDARD_OUTPUT:
        return os.dup(1)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    try:
        opened = os.open(parse_path(path) or "", flags, MODE)
    except OSError as error:
        if error.errno == errno.ENXIO:
            error.strerror = "it is a pipe without a reader, or a socket"
        raise
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(opened, True)  # it is written in a thread
    return opened


def write_all(opened: int, data: bytes) -> tuple[int, str]:
    """Write data; return the number of bytes written, and the error's text, "" if all were."""
    at = 0
    try:
        while at < len(data):
            at += os.write(opened, memoryview(data)[at:])
    except OSError as error:
        return at, error.strerror or str(error)
    return at, ""


class LineWriter[Item](QueuedThread[Item]):
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
