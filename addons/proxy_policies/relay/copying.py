"""Any Unix: bytes go through one buffer of this thread, by recv_into and send."""

from __future__ import annotations

import socket
import threading

BUFFER = 1 << 18  # bytes; past 256 KiB a larger one gained nothing on loopback


class _Scratch(threading.local):
    """One buffer for all tunnels of a thread: fill and drain follow each other without a pause between."""

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
        """Take what the source has, one buffer full at most; 0 at its end of file."""
        self.held = self._source.recv_into(_scratch.view)
        self._rest = _scratch.view[: self.held]
        return self.held

    def drain(self) -> int:
        """Send what the sink takes of the bytes held; return how many that were."""
        moved = 0
        try:
            moved = self._sink.send(self._rest)
        finally:
            self.held -= moved
            self._keep(self._rest[moved:])
        return moved

    def _keep(self, rest: memoryview) -> None:
        """Own what the sink did not take: the scratch buffer is somebody else's from now on."""
        self._rest = memoryview(bytes(rest)) if rest.obj is _scratch.view.obj else rest

    def close(self) -> None:
        """Forget the bytes held."""
        self._rest = memoryview(b"")
