"""Socket options that asyncio does not set."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Any

_RESET, _DEFAULT = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)


def reset_on_close(sock: Any, is_on: bool = True) -> None:
    """Make closing a socket send RST instead of FIN, and drop unsent data (socket(7), SO_LINGER of 0 s).

    Set while a stream is relayed, until both directions have ended: if the process is killed meanwhile, the peer gets
    a reset, not an end of file.
    """
    with contextlib.suppress(OSError):  # closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET if is_on else _DEFAULT)


def send_at_once(sock: socket.socket) -> None:
    """Make a connection send data without delay (tcp(7), TCP_NODELAY).

    Otherwise a body waits until its head is acknowledged, which peers delay by some 40 ms. asyncio sets the option only
    on the sockets of its transports, and only if they were created with IPPROTO_TCP.
    """
    with contextlib.suppress(OSError):  # closed already
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def is_unacknowledged(sock: Any) -> bool:
    """Return whether the peer's system has not acknowledged what was sent to it repeatedly (tcp(7), TCP_INFO).

    It acknowledges also while the peer does not read. False where the kernel cannot be asked, as it is only on Linux.
    """
    if not hasattr(socket, "TCP_INFO"):
        return False
    try:
        _, _, retransmits, probes = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 4)
    except OSError:  # closed already
        return False
    return bool(retransmits or probes)
