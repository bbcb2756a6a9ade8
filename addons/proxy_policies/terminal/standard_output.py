"""The standard streams of a command, even if they are closed, lack characters, or their reader has left."""

from __future__ import annotations

import io
import os
import sys


def prepare_output() -> None:
    """Replace closed streams, and escape characters that a stream's encoding lacks.

    What is printed to a closed standard output is an error, as on a full disk; Python would drop it.
    """
    for name, mode in (("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _Closed(os.open(os.devnull, mode)))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop_output_if_closed() -> None:
    """Drop what is printed to a closed standard output: the log of a program that runs until it is stopped."""
    if isinstance(sys.stdout, _Closed):
        _drop_output()


def flush_output() -> None:
    """Flush standard output. Raise OSError, after dropping the data: Python would report the error again at exit."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _drop_output()
        raise OSError(error.errno, f"standard output: {error.strerror}") from None


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Closed(io.TextIOWrapper):
    """The replacement of a closed stream."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(io.BufferedWriter(io.FileIO(descriptor, "w")), encoding="utf-8")
