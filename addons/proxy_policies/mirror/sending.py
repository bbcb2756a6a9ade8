"""Sends copies to the candidate, over HTTP/1.1, with TLS if its URL is https."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import urlsplit

from proxy_policies.capture.check.http_client import ProxyConnection, SendError
from proxy_policies.capture.model import Request, Response

type _Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
type Open = Callable[[str, int], Awaitable[_Streams]]

TIMEOUT = 30.0
"""Seconds for each response, as in `check`."""


class DirectConnection(ProxyConnection):
    """A connection to the candidate for one request."""

    def __init__(self, target: str, open: Open, limit: int, timeout: float = TIMEOUT) -> None:
        super().__init__(0, timeout, limit)
        self._target, self._dial = urlsplit(target), open

    async def _open(self) -> _Streams:
        if self._streams is None:
            host, is_tls = self._target.hostname or "", self._target.scheme == "https"
            reader, writer = await self._dial(host, self._target.port or (443 if is_tls else 80))
            if is_tls:
                await writer.start_tls(ssl.create_default_context(), server_hostname=host)
            self._streams = reader, writer
        return self._streams


def sender(target: str, open: Open, limit: int) -> Callable[[Request], Awaitable[tuple[Response, float]]]:
    """Return a function that sends a request to the candidate; `limit` is of a response, in bytes."""

    async def send(request: Request) -> tuple[Response, float]:
        connection = DirectConnection(target, open, limit)
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
