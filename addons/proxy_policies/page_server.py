"""Serves pages of ours by tornado, which comes with mitmweb, within limits; and what it logs of their clients."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import time
from typing import Any

from tornado import httpserver, iostream, netutil, web

from proxy_policies.log_lines import Throttles, printable

HEAD = 16384
"""Octets of a request's head."""
BODY_TIME = 10.0
"""Seconds for a request's body."""
IDLE = 75.0
"""Seconds without a request, and for its head: nginx's keepalive_timeout."""
CONNECTIONS = 64
"""Connections at a time; beyond them the oldest is closed. A browser opens six to a host."""
CLOSING = 2.0
"""Seconds that a request under way may take to end when mitmproxy does."""


class _Clients(logging.Filter):
    """Lets a line of each kind through now and then, as its reader may see it: clients cause them."""

    def __init__(self) -> None:
        super().__init__()
        self._throttles = Throttles(every=10.0)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is logged, how many like it were left out at its end."""
        kind = record.levelno, str(record.msg).split(":")[0]
        line = self._throttles.admit(kind, printable(record.getMessage(), lines=True), time.monotonic())
        record.msg, record.args = line, None
        return line is not None


for _name in ("tornado.general", "tornado.application"):
    logging.getLogger(_name).addFilter(_Clients())
logging.getLogger("tornado.access").addFilter(lambda record: record.levelno > logging.WARNING)


def bind(host: str, port: int) -> list[socket.socket]:
    """Listen on an address; raises OSError."""
    return netutil.bind_sockets(port, host)


def is_own_name(host: str) -> bool:
    """Return whether a Host names this machine in a way that no page of somebody else's could be served under.

    A page whose name is made to lead to a loopback address (DNS rebinding) is asked for by that name.
    """
    if host.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


class _Server(httpserver.HTTPServer):
    """A server with so many connections at most."""

    def initialize(self, *arguments: Any, **named: Any) -> None:
        """Begin without any."""
        super().initialize(*arguments, **named)
        self._open: list[iostream.IOStream] = []

    def handle_stream(self, stream: iostream.IOStream, address: Any) -> None:
        """Take a connection in, and close the oldest where they are too many."""
        self._open = [other for other in self._open if not other.closed()]
        if len(self._open) >= CONNECTIONS:
            self._open.pop(0).close()
        self._open.append(stream)
        super().handle_stream(stream, address)


class PageServer:
    """Serves an application from `start` to `close`; `largest` is in octets, of a request's body."""

    def __init__(self, sockets: list[socket.socket], application: web.Application, largest: int) -> None:
        self._sockets = sockets
        self._server = _Server(
            application,
            idle_connection_timeout=IDLE,
            body_timeout=BODY_TIME,
            max_header_size=HEAD,
            max_body_size=largest,
            max_buffer_size=4 * max(largest, HEAD),  # tornado's own is 100 MiB, which it keeps before it asks anybody
        )

    def start(self) -> None:
        """Accept clients."""
        self._server.add_sockets(self._sockets)

    def stop(self) -> None:
        """Accept nobody any more: the port is free."""
        self._server.stop()

    async def close(self) -> None:
        """Accept nobody any more, and end who is connected."""
        self.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.close_all_connections(), CLOSING)
