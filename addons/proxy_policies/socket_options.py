"""Options of sockets that asyncio leaves as they are."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Any

_RESET, _DEFAULT = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)


def reset_on_close(sock: Any, is_on: bool = True) -> None:
    """Have a closed socket send RST instead of FIN (socket(7), SO_LINGER of 0 s), and forget what it has not sent.

    A connection that carries a stream is so from its beginning until the stream has ended both ways: then whatever
    ends the process or the link, SIGKILL included, is no end of file to the peer.
    """
    with contextlib.suppress(OSError):  # closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET if is_on else _DEFAULT)


def send_at_once(sock: socket.socket) -> None:
    """Have a connection send what it is given at once (tcp(7), TCP_NODELAY).

    Otherwise a body waits for its head to be acknowledged, which peers put off by some 40 ms. asyncio sees to it only
    for its own transports, and only where a socket was made with IPPROTO_TCP.
    """
    with contextlib.suppress(OSError):  # closed already
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
