"""Streams of datagrams: mitmproxy_rs has one for each client and origin.

mitmproxy treats an empty datagram as the end of the stream. It closes a client's stream with its session; mitmproxy_rs
then discards all datagrams from that address and port until there is a pause of a minute: a client that was silent for
20 s is never answered again. Here its next datagram begins a new session.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from mitmproxy import ctx
from mitmproxy.proxy.mode_specs import ProxyMode

from proxy_policies.background.tasks import spawn

STREAM_LIFETIME = 59.0
"""Seconds for which mitmproxy_rs keeps a stream at least from when it was last read or written; it keeps it for 60."""
MAX_WAITING = 1024
"""Clients without a session whose next datagram is waited for; beyond that, the oldest is left to mitmproxy_rs."""

_waiting: deque[DatagramStream] = deque()


class EmptyDatagram(bytes):
    """An empty datagram, which is true, unlike the end of a stream."""

    def __bool__(self) -> bool:
        """Return True."""
        return True


class DatagramStream:
    """A stream of datagrams, reader and writer in one. `close` ends a session, and `reopen` begins another."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._next: asyncio.Future[bytes] | None = None
        """The read in progress: mitmproxy_rs allows one at a time, and continues it if its reader is cancelled."""
        self._read_since = 0.0
        self._is_closing = False

    async def read(self, limit: int) -> bytes:
        """Return the next datagram, b"" at the end of the stream."""
        await self.wait()
        data, self._next = self._read_ahead(), None
        return data if data or not await self._is_alive() else EmptyDatagram()

    async def wait(self) -> None:
        """Wait for the next datagram, or the end."""
        if self._next is None:
            self._read_since = time.monotonic()
            self._next = asyncio.ensure_future(self._stream.read(65535))
        await asyncio.wait({self._next})

    def _read_ahead(self) -> bytes:
        return self._next.result() if self._next is not None else b""

    async def next_arrives(self) -> bool:
        """Wait for a datagram after the end of a session; return False if none can arrive any more."""
        await self.wait()
        return bool(self._read_ahead()) or await self._is_alive()

    async def _is_alive(self) -> bool:
        """Return whether the stream has not ended, now that nothing was read from it."""
        if self._stream.is_closing() or time.monotonic() - self._read_since > STREAM_LIFETIME:
            return False
        try:
            await self._stream.drain()
        except OSError:
            return False
        return True

    def write(self, data: bytes) -> None:
        """Send a datagram. Raise OSError if the stream has ended."""
        self._stream.write(data)

    async def drain(self) -> None:
        """Wait until datagrams can be sent again. Raise OSError if the stream has ended."""
        await self._stream.drain()

    def write_eof(self) -> None:
        """Do nothing: datagrams have no end."""

    def close(self) -> None:
        """End the session; the stream stays open. A datagram that has arrived and was not read is lost.

        Otherwise the session of a refused client, which ends before it reads anything, would begin again and again.
        """
        if self._next is not None and self._next.done():
            self._next = None
        self._is_closing = True

    def is_closing(self) -> bool:
        """Return whether the session has ended."""
        return self._is_closing

    def reopen(self) -> None:
        """Begin another session."""
        self._is_closing = False

    def discard(self) -> None:
        """Close the stream, so that further datagrams are discarded."""
        self._stream.close()

    def get_extra_info(self, name: str, *default: Any) -> Any:
        """Return a fact about the stream."""
        return self._stream.get_extra_info(name, *default)


def serve_again(stream: DatagramStream, mode: ProxyMode) -> None:
    """Serve a client whose session has ended once it sends another datagram."""
    if len(_waiting) >= MAX_WAITING:
        _waiting.popleft().discard()
    _waiting.append(stream)
    spawn(_serve_again(stream, mode))


async def _serve_again(stream: DatagramStream, mode: ProxyMode) -> None:
    is_continued = await stream.next_arrives()
    if stream in _waiting:
        _waiting.remove(stream)
    server = next((it for it in ctx.master.addons.get("proxyserver").servers if it.mode == mode), None)
    if is_continued and server is not None:
        stream.reopen()
        await server.handle_stream(stream, stream)
