"""One read buffer for all connections of a thread: ten thousand quiet ones own none.

A read callback fills it and passes it on before it returns. When the transport that it was written to has queued a
view of it instead of sending, `renew` leaves the buffer to that transport and takes another. There is room before it
for a frame's head, so that what was read from a bare connection goes on framed without being copied.
"""

from __future__ import annotations

import threading

from proxy_policies.relay.frames import HEAD

SIZE = 1 << 18  # bytes; past 256 KiB a larger one gained nothing on loopback


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.whole = memoryview(bytearray(HEAD + SIZE))
        self.view = self.whole[HEAD:]


_scratch = _Scratch()


def view() -> memoryview:
    """Return the buffer of this thread."""
    return _scratch.view


def under(head: bytes, nbytes: int) -> memoryview:
    """Return the buffer's first `nbytes` with a frame's head put before them."""
    _scratch.whole[:HEAD] = head
    return _scratch.whole[: HEAD + nbytes]


def renew() -> None:
    """Leave the buffer to whoever keeps a view of it."""
    _scratch.renew()
