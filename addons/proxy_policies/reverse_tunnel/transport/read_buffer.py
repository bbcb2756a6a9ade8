"""One read buffer for all connections of a thread, so that idle connections need none.

A read callback fills it and passes it on before it returns. If the transport it was written to has queued a view of it
instead of sending, `detach` leaves the buffer to that transport and allocates another; TLS calls `mark_copied` if it
keeps no view. Before the buffer is room for a frame's head, so that data from a bare connection is framed without
copying.
"""

from __future__ import annotations

import threading

from proxy_policies.reverse_tunnel.protocol.frames import HEADER_SIZE

RECORD_SIZE = 1 << 14  # bytes in a full TLS record (RFC 8446 section 5.1)
RECORD_OVERHEAD = 5 + 1 + 16  # bytes added to it: header, content type, tag
RECORDS = 32  # half a MiB: a tenth less CPU time per byte than a quarter; a whole one gains nothing more
BUFFER_SIZE = RECORDS * RECORD_SIZE


class _ReadBuffer(threading.local):
    def __init__(self) -> None:
        self.ciphertext = memoryview(bytearray(RECORDS * (RECORD_SIZE + RECORD_OVERHEAD)))
        self.detach()

    def detach(self) -> None:
        self.whole = memoryview(bytearray(HEADER_SIZE + BUFFER_SIZE))
        self.view = self.whole[HEADER_SIZE:]
        self.is_copied = False


_buffers = _ReadBuffer()


def view() -> memoryview:
    """Return this thread's buffer."""
    _buffers.is_copied = False
    return _buffers.view


def payload() -> memoryview:
    """Return the part of the buffer that, with a frame's head, fills whole TLS records."""
    return view()[: BUFFER_SIZE - HEADER_SIZE]


def with_header(header: bytes, nbytes: int) -> memoryview:
    """Return the buffer's first `nbytes`, preceded by a frame's head."""
    _buffers.whole[:HEADER_SIZE] = header
    return _buffers.whole[: HEADER_SIZE + nbytes]


def ciphertext() -> memoryview:
    """Return this thread's other buffer, for encrypted bytes, which are copied when decrypted."""
    return _buffers.ciphertext


def mark_copied(data: memoryview) -> None:
    """Note that no view of `data`, which may be the buffer, is kept."""
    _buffers.is_copied = data.obj is _buffers.whole.obj


def detach() -> None:
    """Leave the buffer to the transport that keeps a view of it, if one does, and allocate another."""
    if not _buffers.is_copied:
        _buffers.detach()
