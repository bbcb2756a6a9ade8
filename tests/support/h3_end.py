"""One end of an HTTP/3 connection that reopens no window of a stream until it is told to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated, QuicEvent, StreamDataReceived

from tests.support.waiting import PATIENCE

WINDOW = 1 << 16
ALL = 1 << 30
"""More bytes than any test sends."""
TIMEOUT = 60.0 * PATIENCE


def configuration(*, is_client: bool) -> QuicConfiguration:
    """Return a configuration with a large window for the connection, and a small one for each stream."""
    return QuicConfiguration(
        is_client=is_client,
        alpn_protocols=H3_ALPN,
        verify_mode=ssl.CERT_NONE if is_client else None,
        server_name="localhost" if is_client else None,
        idle_timeout=TIMEOUT,
        max_data=ALL,
        max_stream_data=WINDOW,
    )


class H3End(QuicConnectionProtocol):
    """Counts what arrives; a subclass answers requests in `head_received`."""

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        self._h3: H3Connection | None = None
        self._progress = asyncio.Event()
        self._taken: set[int] = set()
        self.received: dict[int, int] = {}
        """Bytes of content, by stream."""
        self.ended: set[int] = set()
        self._quic._write_stream_limits = self._limiting(self._quic._write_stream_limits)  # type: ignore[method-assign]

    def _limiting(self, write_limits: Callable[..., None]) -> Callable[..., None]:
        def write(*, stream: Any, **how: Any) -> None:
            if stream.stream_id in self._taken or stream.stream_id % 4:  # streams of requests are 0, 4, 8 …
                write_limits(stream=stream, **how)

        return write

    @property
    def h3(self) -> H3Connection:
        """The connection's HTTP/3."""
        self._h3 = self._h3 or H3Connection(self._quic)
        return self._h3

    def quic_event_received(self, event: QuicEvent) -> None:
        """Handle an event."""
        if isinstance(event, ProtocolNegotiated | StreamDataReceived):
            for received in self.h3.handle_event(event):
                self._received(received)
        self._progress.set()

    def _received(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            self.head_received(event)
        elif isinstance(event, DataReceived):
            self.received[event.stream_id] = self.received.get(event.stream_id, 0) + len(event.data)
        if isinstance(event, HeadersReceived | DataReceived) and event.stream_ended:
            self.ended.add(event.stream_id)

    def head_received(self, event: HeadersReceived) -> None:
        """Handle a head."""

    def take(self, stream_id: int) -> None:
        """Read a stream from now on."""
        self._taken.add(stream_id)
        self.transmit()

    def unsent(self, stream_id: int) -> int:
        """Count the bytes of a stream that the peer's window holds back."""
        stream = self._quic._streams.get(stream_id)
        return stream.sender._buffer_stop - stream.sender.highest_offset if stream else 0

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, looked at whenever something has arrived. Raise TimeoutError."""
        async with asyncio.timeout(TIMEOUT):
            while not condition():
                self._progress.clear()
                await self._progress.wait()
