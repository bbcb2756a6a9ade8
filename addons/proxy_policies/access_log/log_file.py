"""Where lines go: a file that is appended to, or standard output.

A new file is for its owner only: URLs say what people read, and those who may know are the owner's to choose (`chmod`,
or logrotate's `create`). One that was there keeps its mode.
"""

from __future__ import annotations

import errno
import os

from proxy_policies.option_files import parse_path

STANDARD_OUTPUT = "-"
MODE = 0o600


def open_log(path: str) -> int:
    """Open the file, whose descriptor is the caller's to close; raises OSError, and ValueError for what names none.

    It never waits for anybody who should read a pipe: who is not there yet is an error.
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
        os.set_blocking(opened, True)  # whoever writes is a thread of its own
    return opened


def write_all(opened: int, data: bytes) -> tuple[int, str]:
    """Write as much as can be; return how many bytes were written, and why those were not all: "" when they were."""
    at = 0
    try:
        while at < len(data):
            at += os.write(opened, memoryview(data)[at:])
    except OSError as error:
        return at, error.strerror or str(error)
    return at, ""
