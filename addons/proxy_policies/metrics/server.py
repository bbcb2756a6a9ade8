"""The page that Prometheus reads, and the one that says whether the proxy is well."""

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


Give = Callable[[str], Awaitable[tuple[int, bytes, str]]]
"""Returns the status of a response to an Accept field, its body, and the body's media type."""


class Page(web.RequestHandler):
    """One of the two."""

    def initialize(self, give: Give, is_local: bool) -> None:
        """Take what makes the page, and whether it is for this machine only."""
        self._give, self._is_local = give, is_local

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
        status, page, media_type = await self._give(self.request.headers.get("Accept", ""))
        self.set_status(status)
        self.set_header("Content-Type", media_type)
        self.finish(page)

    head = get


def serve(sockets: list[socket.socket], render: Render, accepts: Callable[[], bool]) -> PageServer:
    """Return the server of the pages, which has not begun yet; `accepts` says whether the proxy accepts clients."""

    async def metrics(accept: str) -> tuple[int, bytes, str]:
        return 200, *await render(accept)

    async def health(_: str) -> tuple[int, bytes, str]:  # balancers and orchestrators look at the status only
        return (200, b"ok\n", "text/plain") if accepts() else (503, b"no clients are accepted\n", "text/plain")

    hosts = [sock.getsockname()[0] for sock in sockets]
    is_local = all(ipaddress.ip_address(host.partition("%")[0]).is_loopback for host in hosts)
    pages = {"/metrics": metrics, "/health": health}
    application = web.Application([(path, Page, {"give": give, "is_local": is_local}) for path, give in pages.items()])
    return PageServer(sockets, application, LARGEST)
