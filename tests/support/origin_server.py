"""The server of the tests' origins: a thread for each connection, over TCP or TLS."""

import socket
import socketserver
import ssl
from typing import Any

_used: set[int] = set()
"""Ports of this process's origins, including closed ones."""


class OriginServer(socketserver.ThreadingTCPServer):
    """Listens on a free port of 127.0.0.1, and closes every connection; failed ones are not reported."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 512

    def __init__(self, handler: type[socketserver.BaseRequestHandler], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        while self.server_address[1] in _used:  # a cache that outlives a test must not take one origin for another
            self.socket.close()
            self.socket = socket.socket(self.address_family, self.socket_type)
            self.server_address = ("127.0.0.1", 0)  # otherwise it would be the same, which is free now
            self.server_bind()
            self.server_activate()
        _used.add(int(self.server_address[1]))
        self.socket.settimeout(5)  # accept() would block if the connection has gone
        self.tls = tls
        self.accepted = 0
        """Connections so far, counted before anything is read."""

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count a connection, then serve it."""
        self.accepted += 1
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, in its own thread: its handshake must not delay others."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report nothing: the test sees how its connection ended."""
