"""The streams that a command prints to, whatever they are: closed, a narrow encoding, a reader that has enough."""

from __future__ import annotations

import io
import os
import sys


def prepare_output() -> None:
    """Have streams to print to, where they are closed, too; what their encoding lacks is printed escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush_output() -> None:
    """Print what Python has kept back. Raises OSError, and keeps nothing then: it would complain again as it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
