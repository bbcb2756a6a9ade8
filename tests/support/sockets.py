"""Two ends of a connection."""

import socket


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Give a non-blocking socket and its peer, which waits 20 s for anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname(), timeout=100)
        ours, _ = listening.accept()
    ours.setblocking(False)
    return ours, peer
