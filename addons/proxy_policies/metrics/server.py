"""Serves /metrics for Prometheus, and /health for load balancers and orchestrators."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from tornado import web

from proxy_policies.addresses import is_loopback
from proxy_policies.web_pages.page_server import PageServer, is_own_name

MAX_BODY = 16384
"""Bytes of a request's body; none is needed."""

Render = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Returns the metrics for an Accept field, and their media type."""


Respond = Callable[[str], Awaitable[tuple[int, bytes, str]]]
"""Returns status, body and media type of a response, for an Accept field."""


class Page(web.RequestHandler):
    """One of the two pages."""

    def initialize(self, respond: Respond, is_local: bool) -> None:
        """Initialize; `is_local` if the server listens on loopback addresses only."""
        self._respond, self._is_local = respond, is_local

    def set_default_headers(self) -> None:
        """Set the fields that each response has."""
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def prepare(self) -> None:
        """Refuse a request for another site's name (DNS rebinding)."""
        if self._is_local and not is_own_name(self.request.host_name):
            raise web.HTTPError(403)

    async def get(self) -> None:
        """Send the page."""
        status, page, media_type = await self._respond(self.request.headers.get("Accept", ""))
        self.set_status(status)
        self.set_header("Content-Type", media_type)
        self.finish(page)

    head = get


def serve(sockets: list[socket.socket], render: Render, accepts: Callable[[], bool]) -> PageServer:
    """Return the server of the pages, not yet started; `accepts` returns whether the proxy accepts clients."""

    async def metrics(accept: str) -> tuple[int, bytes, str]:
        return 200, *await render(accept)

    async def health(_: str) -> tuple[int, bytes, str]:  # usually only the status is read
        return (200, b"ok\n", "text/plain") if accepts() else (503, b"not accepting clients\n", "text/plain")

    is_local = all(is_loopback(sock.getsockname()[0]) for sock in sockets)
    pages = {"/metrics": metrics, "/health": health}
    routes = [(path, Page, {"respond": respond, "is_local": is_local}) for path, respond in pages.items()]
    return PageServer(sockets, web.Application(routes), MAX_BODY)
