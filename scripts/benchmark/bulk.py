"""Sends and receives many bytes at little cost, so that the load takes less CPU time than what it measures."""

from __future__ import annotations

import os
import socket
import tempfile

MIB = 1 << 20
ZEROS = tempfile.TemporaryFile()  # noqa: SIM115 -- as long as the process
ZEROS_SIZE = 64 * MIB
ZEROS.truncate(ZEROS_SIZE)
DISCARD = getattr(socket, "MSG_TRUNC", 0) if os.uname().sysname == "Linux" else 0
"""With this flag, Linux drops received data instead of copying it."""


def send(sock: socket.socket, size: int) -> None:
    """Send zeros from the page cache."""
    while size > 0:
        size -= sock.sendfile(ZEROS, 0, min(size, ZEROS_SIZE))


def discard(sock: socket.socket, size: int) -> None:
    """Receive and discard. Raise RuntimeError if the connection ends before `size` bytes."""
    buffer = bytearray(MIB)
    while size > 0:
        got = sock.recv_into(buffer, min(size, MIB), DISCARD)
        if not got:
            raise RuntimeError(f"{size} bytes are missing")
        size -= got
