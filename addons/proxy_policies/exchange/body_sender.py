"""Sends a response's body at the pace of its client, or at that of others who want the response, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from mitmproxy import http

from proxy_policies.body import Pipeline
from proxy_policies.byte_streams.byte_stream import ByteStream
from proxy_policies.exchange.backlog import Backlog
from proxy_policies.exchange.client_side import ClientPresence, ResponseWriter
from proxy_policies.flows import flow_state
from proxy_policies.streaming.stream import PAUSE, Stream


class BodySender:
    """Sends one response's body. Its methods raise ClientLeft if the client leaves, and no others want the response."""

    def __init__(
        self, flow: http.HTTPFlow, client: ByteStream, writer: ResponseWriter, presence: ClientPresence
    ) -> None:
        self._flow, self._client, self._writer, self._presence = flow, client, writer, presence
        self._backlog: Backlog | None = None
        """Data for a client that is slower than others who want the response."""
        self.kept: list[bytes] | None = None
        """A list to which all that is sent is added."""

    async def send(self, data: bytes, stream: Any) -> None:
        """Send a piece that has arrived, as changed by the flow's `stream`."""
        if data:
            await self.send_chunks(_chunks(stream(data)) if callable(stream) else [data])

    async def flush(self, stream: Any) -> None:
        """Send what a stream has held back for long enough, as no more has arrived."""
        seconds = seconds_to_flush(stream)
        if seconds is not None and seconds <= 0:
            await self.send_chunks(stream.flush())

    async def end(self, stream: Any) -> None:
        """Send the rest that a stream returns once all has arrived."""
        if callable(stream):
            await self.send_chunks(_chunks(stream(b"")))

    async def send_chunks(self, chunks: Iterable[bytes]) -> None:
        """Send chunks, and wait until more may be read."""
        for data in chunks:
            if self.kept is not None:
                self.kept.append(data)
            if self._presence.is_response_wanted:
                (self._backlog or self._writer).send(data)
        if self._backlog is None and self._is_behind() and self._is_wanted_by_others():
            self._begin_backlog()
        if self._backlog is None:
            await self.drain()
        elif not self._is_wanted_by_others():
            await self._presence.wait(asyncio.ensure_future(self._backlog.drain()))

    async def drain(self) -> None:
        """Wait until the client has accepted enough of what it was sent."""
        if self._is_behind():
            await self._presence.wait(asyncio.ensure_future(self._client.drain()))

    async def finish(self) -> None:
        """Wait until a slow client has received everything; raises OSError if that fails."""
        if self._backlog is not None:
            await self._presence.wait(self._backlog.finish())

    def cancel(self) -> None:
        """Stop sending to a slow client."""
        if self._backlog is not None:
            self._backlog.cancel()

    async def send_stored(self, source: flow_state.Source, pipeline: Pipeline, check: Callable[[], None]) -> None:
        """Send a stored body piece by piece; `check` raises if no more may be sent. Raises OSError if reading fails."""
        reading: asyncio.Future[bytes] | None = None
        piece: bytes | None = None
        try:
            while piece != b"":
                await self.drain()
                reading = reading or asyncio.ensure_future(source.read())
                piece = await self._wait_for_piece(reading, pipeline)
                reading = reading if piece is None else None
                check()
                for part in pipeline.flush() if piece is None else pipeline.stream(piece):
                    self._writer.send(part)
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.wait({reading})

    async def _wait_for_piece(self, reading: asyncio.Future[bytes], pipeline: Pipeline) -> bytes | None:
        """Return the next piece; None if it takes long, so that held-back data should be sent."""
        if not pipeline.holds_back:
            piece: bytes = await self._presence.wait(reading)
            return piece
        done, _ = await asyncio.wait({reading}, timeout=PAUSE)
        return reading.result() if done else None

    def _is_wanted_by_others(self) -> bool:
        wanted = flow_state.state_of(self._flow).wanted
        return wanted is not None and wanted()

    def _is_behind(self) -> bool:
        return self._client.unsent > self._client.high_water and self._presence.is_response_wanted

    def _begin_backlog(self) -> None:
        """Continue at the pace of the others."""
        make = flow_state.state_of(self._flow).backlog
        self._backlog = Backlog(self._client, self._writer, *make()) if make else None


def seconds_to_flush(stream: Any) -> float | None:
    """Return the seconds until held-back data must be sent; None if a flow's `stream` holds none back."""
    return stream.seconds_to_flush() if isinstance(stream, Stream) else None


def _chunks(made: Any) -> Iterable[bytes]:
    """Return a stream callable's result as an iterable; it may be bytes."""
    if isinstance(made, bytes):
        return [made] if made else []
    return made  # type: ignore[no-any-return]
