"""Since when a client has accepted no data that waits for it."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

with contextlib.suppress(ImportError):  # Windows has neither
    import fcntl
    import termios


class Unsent:
    """The unsent and unacknowledged data for one client, checked periodically."""

    def __init__(self) -> None:
        self._size, self._since = 0, 0.0

    def since(self, now: float, waiting: int, sock: Any = None) -> float | None:
        """Return since when no data was accepted, with `waiting` bytes for the kernel; None if none are waiting.

        Without a socket, only those bytes count.
        """
        size = waiting and waiting + (_in_kernel(sock) if sock is not None else 0)
        if size != self._size:
            self._size, self._since = size, now
        return self._since if size else None


def _in_kernel(sock: Any) -> int:
    """Count the bytes not acknowledged yet: a client may accept some long before the kernel accepts more from us."""
    try:
        size = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except (NameError, OSError, ValueError):  # not Unix, or closed, which has descriptor -1
        return 0
    return int.from_bytes(size, sys.byteorder)
