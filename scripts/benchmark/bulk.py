"""Many bytes through a socket for next to nothing, so that a load costs less than what it measures."""

from __future__ import annotations

import os
import socket
import tempfile

MIB = 1 << 20
ZEROS = tempfile.TemporaryFile()  # noqa: SIM115 -- as long as the process
ZEROS_SIZE = 64 * MIB
ZEROS.truncate(ZEROS_SIZE)
DISCARD = getattr(socket, "MSG_TRUNC", 0) if os.uname().sysname == "Linux" else 0
"""Linux drops what was received instead of copying it."""


def send(sock: socket.socket, size: int) -> None:
    """Send zeros out of the page cache."""
    while size > 0:
        size -= sock.sendfile(ZEROS, 0, min(size, ZEROS_SIZE))


def swallow(sock: socket.socket, size: int) -> None:
    """Receive and forget. RuntimeError when the bytes end too soon."""
    buffer = bytearray(MIB)
    while size > 0:
        got = sock.recv_into(buffer, min(size, MIB), DISCARD)
        if not got:
            raise RuntimeError(f"{size} bytes are missing")
        size -= got
