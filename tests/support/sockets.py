"""Two ends of a connection, and how much one of them has not read yet."""

import fcntl
import socket
import struct
import sys
import termios
import time

from tests.support.waiting import wait_until

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
ID = struct.Struct("!HH4s12x4s12x")
"""Ports and addresses of a socket and of its peer; then an interface and two words (`ANY`: any socket)."""
ANY = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
RECEIVED = 16 + 4 + ID.size + len(ANY) + 4
"""The offset of the number of unread bytes in a reply: after two headers, the ID and a timer."""


def wait_until_read(sock: socket.socket) -> None:
    """Wait until the peer, a process on this machine, has read what was sent: a reset would discard the rest."""
    wait_until(lambda: not _unsent(sock), 20, "what was sent to arrive")
    wait_until(lambda: not _unread(sock.getpeername(), sock.getsockname()), 20, "the peer to read what was sent")


def _unsent(sock: socket.socket) -> int:
    """Return how many bytes have not reached the peer's system: small ones wait for what was sent before."""
    return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def _unread(end: tuple[str, int], peer: tuple[str, int]) -> int:
    """Return how many bytes wait to be read by one end of an IPv4 connection; 0 if it is gone (Linux, sock_diag(7)).

    On other systems, wait for as long as it usually takes, and return 0.
    """
    if not hasattr(socket, "AF_NETLINK"):
        time.sleep(0.1)
        return 0
    addresses = (socket.inet_aton(host) for host, _ in (end, peer))
    asked = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFFFFFF)
    asked += ID.pack(end[1], peer[1], *addresses) + ANY
    header = struct.pack("=IHHII", 16 + len(asked), SOCK_DIAG_BY_FAMILY, 1, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(header + asked)
        answer = kernel.recv(1 << 16)
    is_found = struct.unpack_from("=H", answer, 4)[0] == SOCK_DIAG_BY_FAMILY
    return int(struct.unpack_from("=I", answer, RECEIVED)[0]) if is_found else 0


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return a non-blocking socket and its peer, which has a time-out of 100 s."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname(), timeout=100)
        ours, _ = listening.accept()
    ours.setblocking(False)
    return ours, peer


def talk(one: socket.socket, other: socket.socket) -> None:
    """Check that what is sent at either end of a tunnel arrives at the other. Raise AssertionError."""
    for sender, receiver in ((one, other), (other, one)):
        sender.sendall(b"some words")
        assert receiver.recv(100) == b"some words"


def reset_when_closed(sock: socket.socket) -> None:
    """Have a socket drop unsent data and send a reset when it is closed (socket(7), SO_LINGER)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset(sock: socket.socket) -> None:
    """Break a connection off."""
    reset_when_closed(sock)
    sock.close()
