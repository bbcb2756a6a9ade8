"""Sends copies to the candidate, over HTTP/1.1, with TLS if its URL is https."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import urlsplit

from proxy_policies.capture.check.http_client import RequestConnection, SendError
from proxy_policies.capture.model import Request, Response

type _Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
type Open = Callable[[str, int], Awaitable[_Streams]]
type Trust = Callable[[], ssl.SSLContext]

TIMEOUT = 30.0
"""Seconds for each response, as in `check`."""


class DirectConnection(RequestConnection):
    """A connection to the candidate for one request."""

    def __init__(self, target: str, open: Open, trust: Trust, limit: int, timeout: float = TIMEOUT) -> None:
        super().__init__(0, timeout, limit)
        self._target, self._dial, self._trust = urlsplit(target), open, trust

    async def _open(self) -> _Streams:
        if self._streams is None:
            host, is_tls = self._target.hostname or "", self._target.scheme == "https"
            reader, writer = await self._dial(host, self._target.port or (443 if is_tls else 80))
            if is_tls:
                await writer.start_tls(self._trust(), server_hostname=host)
            self._streams = reader, writer
        return self._streams


def tls_context(ca_file: str | None, ca_folder: str | None, insecure: bool) -> ssl.SSLContext:
    """Return a context that trusts these CAs, or the system's; it does not verify if `insecure`. Raise OSError."""
    context = ssl.create_default_context(cafile=ca_file or None, capath=ca_folder or None)
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def sender(target: str, open: Open, trust: Trust, limit: int) -> Callable[[Request], Awaitable[tuple[Response, float]]]:
    """Return a function that sends a request to the candidate, over TLS with the context that `trust` returns.

    `limit` is of a response, in bytes.
    """

    async def send(request: Request) -> tuple[Response, float]:
        connection = DirectConnection(target, open, trust, limit)
        url = urlsplit(request.url)
        origin_form = request.target or (url.path or "/") + (f"?{url.query}" if url.query else "")
        try:
            reply = await connection.send(replace(request, url=origin_form))
        finally:
            await connection.close()
        if reply.response.body.cut:
            raise SendError(f"its stream was cut: {reply.response.body.cut}")
        return reply.response, reply.seconds

    return send
