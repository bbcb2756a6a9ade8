"""For any Unix: copies bytes through one buffer per thread, with recv_into and send."""

from __future__ import annotations

import socket
import threading

BUFFER = 1 << 18  # bytes; larger buffers gained nothing on loopback


class _Scratch(threading.local):
    """One buffer for all tunnels of a thread, possible because drain directly follows fill."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(BUFFER))


_scratch = _Scratch()


class Copy:
    """Moves one direction by copying. See `sockets.Transfer` for the contract."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.held = 0
        self._source, self._sink = source, sink
        self._rest = memoryview(b"")

    def fill(self) -> int:
        """Read from the source, one buffer at most; return the bytes read, 0 at its end of file."""
        self.held = self._source.recv_into(_scratch.view)
        self._rest = _scratch.view[: self.held]
        return self.held

    def drain(self) -> int:
        """Send held bytes to the sink; return how many it accepted."""
        moved = 0
        try:
            moved = self._sink.send(self._rest)
        finally:
            self.held -= moved
            self._keep(self._rest[moved:])
        return moved

    def _keep(self, rest: memoryview) -> None:
        """Copy what the sink did not accept, because other tunnels reuse the scratch buffer."""
        self._rest = memoryview(bytes(rest)) if rest.obj is _scratch.view.obj else rest

    def close(self) -> None:
        """Discard held bytes."""
        self._rest = memoryview(b"")
