"""The part of a response still to be sent to a client that is slower than others who want it."""

from __future__ import annotations

import asyncio

from proxy_policies.byte_streams.byte_stream import ByteStream
from proxy_policies.exchange.client_side import ResponseWriter
from proxy_policies.flows.flow_state import BacklogBody, Source


class Backlog:
    """Sends the data fed to a body at the client's own pace."""

    def __init__(self, client: ByteStream, writer: ResponseWriter, body: BacklogBody, source: Source) -> None:
        self._client, self._writer, self._source = client, writer, source
        self._body = body
        self._left = 0
        """Bytes not yet passed to the client's connection."""
        self._taken = asyncio.Event()
        self._sending = asyncio.ensure_future(self._send())
        self._sending.add_done_callback(lambda _: self._taken.set())

    def send(self, data: bytes) -> None:
        """Queue data to be sent; never waits."""
        if data:  # empty data would mean the end
            self._left += len(data)
            self._body.feed(data)

    async def drain(self) -> None:
        """Wait until all of it was passed to the client's connection, or nothing more can be sent."""
        while self._left and not self._sending.done():
            self._taken.clear()
            await self._taken.wait()

    def finish(self) -> asyncio.Future[None]:
        """Accept no more data; return a future that is done once all is sent, and raises OSError if that fails."""
        self._body.finish()
        return self._sending

    def cancel(self) -> None:
        """Stop sending."""
        self._sending.cancel()

    async def _send(self) -> None:
        try:
            while piece := await self._source.read():
                await self._client.drain()
                self._writer.send(piece)
                self._left -= len(piece)
                self._taken.set()
        finally:
            await self._source.close()
