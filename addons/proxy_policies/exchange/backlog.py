"""What a client has still to be sent of a response that others want, too, and do not wait for it with."""

from __future__ import annotations

import asyncio

from proxy_policies.byte_streams.byte_stream import ByteStream
from proxy_policies.exchange.response_writer import ResponseWriter
from proxy_policies.flow_state import BacklogBody, Source


class Backlog:
    """Sends what a body is fed with, at the client's own pace."""

    def __init__(self, client: ByteStream, writer: ResponseWriter, body: BacklogBody, source: Source) -> None:
        self._client, self._writer, self._source = client, writer, source
        self._body = body
        self._left = 0
        """Bytes that the client's connection was not given yet."""
        self._taken = asyncio.Event()
        self._sending = asyncio.ensure_future(self._send())
        self._sending.add_done_callback(lambda _: self._taken.set())

    def send(self, data: bytes) -> None:
        """Take what is to be sent; never waits."""
        if data:  # nothing would be the end
            self._left += len(data)
            self._body.feed(data)

    async def drain(self) -> None:
        """Wait until the client's connection has all of it, or nothing more can be sent."""
        while self._left and not self._sending.done():
            self._taken.clear()
            await self._taken.wait()

    def finish(self) -> asyncio.Future[None]:
        """Take no more; what is returned is done once all is sent, and raises OSError if that cannot be."""
        self._body.finish()
        return self._sending

    def cancel(self) -> None:
        """Send no more."""
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
