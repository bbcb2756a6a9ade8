"""The file to which lines are appended, or standard output.

A new file is readable by its owner only, as URLs show what people read; the owner can change that (`chmod`, or `create`
of logrotate). An existing file keeps its mode.
"""

from __future__ import annotations

import errno
import os

from proxy_policies.options.files import parse_path

STANDARD_OUTPUT = "-"
MODE = 0o600


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
