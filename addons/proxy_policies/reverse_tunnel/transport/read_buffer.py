"""One read buffer for all connections of a thread: ten thousand quiet ones own none.

A read callback fills it and passes it on before it returns. When the transport that it was written to has queued a
view of it instead of sending, `detach` leaves the buffer to that transport and takes another; TLS calls `mark_copied`
when it keeps no view. There is room before it for a frame's head, so that what was read from a bare connection goes
on framed without being copied.
"""

from __future__ import annotations

import threading

from proxy_policies.reverse_tunnel.protocol.frames import HEAD

RECORD = 1 << 14  # bytes in a full TLS record (RFC 8446 section 5.1)
OVERHEAD = 5 + 1 + 16  # and what comes round them: header, content type, tag
RECORDS = 32  # half a MiB: a tenth less CPU time per byte than a quarter takes, and a whole one gains nothing more
SIZE = RECORDS * RECORD


class _ReadBuffer(threading.local):
    def __init__(self) -> None:
        self.sealed = memoryview(bytearray(RECORDS * (RECORD + OVERHEAD)))
        self.detach()

    def detach(self) -> None:
        self.whole = memoryview(bytearray(HEAD + SIZE))
        self.view = self.whole[HEAD:]
        self.is_copied = False


_scratch = _ReadBuffer()


def view() -> memoryview:
    """Return the buffer of this thread."""
    _scratch.is_copied = False
    return _scratch.view


def payload() -> memoryview:
    """Return as much of the buffer as fills whole TLS records when it goes on under a frame's head."""
    return view()[: SIZE - HEAD]


def with_header(head: bytes, nbytes: int) -> memoryview:
    """Return the buffer's first `nbytes` with a frame's head put before them."""
    _scratch.whole[:HEAD] = head
    return _scratch.whole[: HEAD + nbytes]


def ciphertext() -> memoryview:
    """Return the thread's other buffer: for bytes that are still encrypted, and copied by whoever decrypts them."""
    return _scratch.sealed


def mark_copied(data: memoryview) -> None:
    """Note that no view of `data`, which may be the buffer's, is kept."""
    _scratch.is_copied = data.obj is _scratch.whole.obj


def detach() -> None:
    """Leave the buffer to whoever keeps a view of it, if anybody does."""
    if not _scratch.is_copied:
        _scratch.detach()
