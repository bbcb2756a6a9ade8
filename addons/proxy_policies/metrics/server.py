"""The page that Prometheus reads, served by tornado, which comes with mitmweb."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable

from tornado import httpserver, netutil, web

LARGEST = 16384
"""Bytes of a request's body: nobody has anything to say here, and tornado keeps 100 MiB before it asks anybody."""
CLOSING = 2.0
"""Seconds that a scrape under way may take to end when mitmproxy does."""

Render = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Returns the page for an Accept field, and its media type."""

logging.getLogger("tornado.access").addFilter(lambda record: record.levelno > logging.INFO)


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


class Page(web.RequestHandler):
    """`/metrics`."""

    def initialize(self, render: Render, is_local: bool) -> None:
        """Take what makes the page, and whether it is for this machine only."""
        self._render, self._is_local = render, is_local

    def set_default_headers(self) -> None:
        """Say nothing of who serves it, and that it is not to be kept."""
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def prepare(self) -> None:
        """Refuse names that are not ours."""
        if self._is_local and not is_own_name(self.request.host_name):
            raise web.HTTPError(403)

    async def get(self) -> None:
        """Give the page."""
        page, media_type = await self._render(self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", media_type)
        self.finish(page)

    head = get


class MetricsServer:
    """Serves from `start` to `close`."""

    def __init__(self, sockets: list[socket.socket], render: Render) -> None:
        self._sockets = sockets
        hosts = [sock.getsockname()[0] for sock in sockets]
        is_local = all(ipaddress.ip_address(host.partition("%")[0]).is_loopback for host in hosts)
        application = web.Application([(r"/metrics", Page, {"render": render, "is_local": is_local})])
        self._server = httpserver.HTTPServer(
            application,
            idle_connection_timeout=75,
            body_timeout=10,
            max_header_size=16384,
            max_body_size=LARGEST,
            max_buffer_size=4 * LARGEST,
        )

    def start(self) -> None:
        """Accept clients."""
        self._server.add_sockets(self._sockets)

    async def close(self) -> None:
        """Accept nobody any more, and end who is connected."""
        self._server.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.close_all_connections(), CLOSING)
