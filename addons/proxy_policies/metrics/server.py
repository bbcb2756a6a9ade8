"""The page that Prometheus reads."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable

from tornado import web

from proxy_policies.page_server import PageServer, is_own_name

LARGEST = 16384
"""Octets of a request's body: nobody has anything to say here."""

Render = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Returns the page for an Accept field, and its media type."""


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


def serve(sockets: list[socket.socket], render: Render) -> PageServer:
    """Return the server of the page, which has not begun yet."""
    hosts = [sock.getsockname()[0] for sock in sockets]
    is_local = all(ipaddress.ip_address(host.partition("%")[0]).is_loopback for host in hosts)
    application = web.Application([(r"/metrics", Page, {"render": render, "is_local": is_local})])
    return PageServer(sockets, application, LARGEST)
