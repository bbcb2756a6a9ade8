"""Serves our own pages with tornado, which mitmweb needs anyway; limits connections, requests and log lines."""

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

MAX_HEAD = 16384
"""Bytes of a request's head."""
BODY_TIMEOUT = 10.0
"""Seconds for a request's body."""
IDLE_TIMEOUT = 75.0
"""Seconds without a request, and for its head: nginx's keepalive_timeout."""
MAX_CONNECTIONS = 64
"""Simultaneous connections; beyond them the oldest is closed. A browser opens six to a host."""
CLOSE_TIMEOUT = 2.0
"""Seconds that a request in progress may take to end when mitmproxy ends."""


class _ClientLines(logging.Filter):
    """Escapes and throttles lines that clients cause, by kind."""

    def __init__(self) -> None:
        super().__init__()
        self._throttles = Throttles(interval=10.0)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is logged; append how many like it were left out."""
        kind = record.levelno, str(record.msg).split(":")[0]
        line = self._throttles.admit(kind, printable(record.getMessage(), lines=True), time.monotonic())
        record.msg, record.args = line, None
        return line is not None


for _name in ("tornado.general", "tornado.application"):
    logging.getLogger(_name).addFilter(_ClientLines())
logging.getLogger("tornado.access").addFilter(lambda record: record.levelno > logging.WARNING)


def bind(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on an address. Raise OSError."""
    return netutil.bind_sockets(port, host)


def is_own_name(host: str) -> bool:
    """Return whether a Host is localhost or an IP address, which no other site can have as its name.

    With DNS rebinding, a site's name resolves to a loopback address, but its pages still send that name as Host.
    """
    if host.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


class _Server(httpserver.HTTPServer):
    """A server with at most MAX_CONNECTIONS connections."""

    def initialize(self, *arguments: Any, **named: Any) -> None:
        """Initialize: tornado calls this instead of `__init__`."""
        super().initialize(*arguments, **named)
        self._open: list[iostream.IOStream] = []

    def handle_stream(self, stream: iostream.IOStream, address: Any) -> None:
        """Accept a connection; close the oldest if there are too many."""
        self._open = [other for other in self._open if not other.closed()]
        if len(self._open) >= MAX_CONNECTIONS:
            self._open.pop(0).close()
        self._open.append(stream)
        super().handle_stream(stream, address)


class PageServer:
    """Serves an application from `start` to `close`; `max_body` limits a request's body, in bytes."""

    def __init__(self, sockets: list[socket.socket], application: web.Application, max_body: int) -> None:
        self._sockets = sockets
        self._server = _Server(
            application,
            idle_connection_timeout=IDLE_TIMEOUT,
            body_timeout=BODY_TIMEOUT,
            max_header_size=MAX_HEAD,
            max_body_size=max_body,
            max_buffer_size=4 * max(max_body, MAX_HEAD),  # tornado's default is 100 MiB for each connection
        )

    def start(self) -> None:
        """Start accepting clients."""
        self._server.add_sockets(self._sockets)

    def stop(self) -> None:
        """Stop accepting clients, and release the port."""
        self._server.stop()

    async def close(self) -> None:
        """Stop accepting clients, and close the connections, after requests in progress if they end in time."""
        self.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.close_all_connections(), CLOSE_TIMEOUT)
