"""The byte stream of one connection: received data, the task that waits for more, unsent bytes, and how it ended.

`SocketStream` is a plain connection, on a bare, non-blocking socket in the event loop. `tls_stream.py` is TLS on top of
it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from proxy_policies.byte_streams.socket_options import reset_on_close

READ_SIZE = 65536
"""Bytes read at once, as in mitmproxy."""
READ_AHEAD = 2 * 65536
"""Bytes read ahead of demand, more than a request's head may have; the rest waits in the kernel."""
HIGH_WATER = 65536
"""Unsent bytes beyond which a writer waits: asyncio's mark."""


def ignore() -> None:
    """Do nothing."""


class ByteStream(ABC):
    """One connection. `on_readable` is called when bytes or the end arrive and no task waits for them."""

    on_sent: Callable[[], None]
    """Called once all unsent bytes have been sent."""
    high_water: int

    def __init__(self, on_readable: Callable[[], None] = ignore) -> None:
        self.on_readable = on_readable
        self.received = bytearray()
        self.total_received = 0
        self.is_at_end = False
        """No more data will arrive."""
        self.error: OSError | None = None
        """Why not; None if the peer ended the connection properly."""
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[bool | None] | None = None

    @property
    @abstractmethod
    def sock(self) -> Any:
        """The underlying socket."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Return whether it was closed on our side."""

    # Receiving

    def start_reading(self) -> None:
        """Read incoming data, up to READ_AHEAD bytes."""
        if len(self.received) < READ_AHEAD:
            self._read_on()

    @abstractmethod
    def _read_on(self) -> None:
        """Read more data."""

    @abstractmethod
    def stop_reading(self) -> None:
        """Leave incoming data in the kernel."""

    def feed(self, data: bytes) -> None:
        """Add received data."""
        self.received += data
        self.total_received += len(data)
        if len(self.received) >= READ_AHEAD:
            self.stop_reading()

    def notify(self) -> None:
        """Wake the waiting task because data or the end has arrived."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(not self.is_at_end)
        else:
            self.on_readable()

    def wait(self, seconds: float | None = None) -> asyncio.Future[bool | None]:
        """Return a future of the next event: True for bytes, False for the end, None if neither within `seconds`.

        It reads more even if much is already buffered.
        """
        waiting = self._waiting = self._loop.create_future()
        if self.is_at_end:
            self._waiting = None
            waiting.set_result(False)
            return waiting
        self._read_on()
        if seconds is not None:
            timer = self._loop.call_later(max(seconds, 0.0), _set_none, waiting)
            waiting.add_done_callback(lambda _: timer.cancel())
        return waiting

    def take(self) -> bytes:
        """Return and remove everything received."""
        data = bytes(self.received)
        self.received.clear()
        return data

    # Sending

    @property
    @abstractmethod
    def unsent(self) -> int:
        """The bytes that the kernel has not accepted yet."""

    @abstractmethod
    def write(self, *pieces: bytes) -> None:
        """Send, or keep what the kernel has no room for. Does nothing on a failed connection."""

    @abstractmethod
    async def drain(self) -> None:
        """Wait while more than `high_water` bytes are unsent."""

    # Ending

    @abstractmethod
    def end_sending(self) -> None:
        """End our half once everything is sent; the peer's data can still be read."""

    @abstractmethod
    def close(self, *, says_end: bool = True) -> None:
        """Close the connection once everything is sent; `says_end` is False in the middle of a message."""

    @abstractmethod
    def reset(self) -> None:
        """Reset the connection at once: the peer must not take an incomplete message as complete."""

    @abstractmethod
    def fail_silently(self) -> None:
        """Close at once, discarding unsent bytes."""


class SocketStream(ByteStream):
    """A plain TCP connection."""

    def __init__(self, sock: socket.socket, on_readable: Callable[[], None] = ignore) -> None:
        super().__init__(on_readable)
        self._sock = sock
        self.on_sent = ignore
        self._is_closed = False
        self._high_water = HIGH_WATER
        self._unsent = bytearray()
        self._is_reading = self._is_closing = False
        self._draining: asyncio.Future[None] | None = None

    @property
    def sock(self) -> socket.socket:
        """The socket."""
        return self._sock

    @property
    def is_closed(self) -> bool:
        """Return whether it was closed on our side, or detached."""
        return self._is_closed

    # Receiving

    def _read_on(self) -> None:
        if not (self._is_reading or self.is_at_end or self._is_closed):
            self._is_reading = True
            self._loop.add_reader(self._sock, self._read)

    def stop_reading(self) -> None:
        """Leave incoming data in the kernel."""
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._sock)

    def _read(self) -> None:
        try:
            data = self._sock.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.fail(error)
            return
        if data:
            self.feed(data)
        else:
            self.is_at_end = True
            self.stop_reading()
        self.notify()

    # Sending

    @property
    def unsent(self) -> int:
        """The bytes that the kernel has not accepted yet."""
        return len(self._unsent)

    @property
    def high_water(self) -> int:
        """Bytes that may be unsent before `drain` waits; raising it wakes a task that already waits there."""
        return self._high_water

    @high_water.setter
    def high_water(self, size: int) -> None:
        self._high_water = size
        if len(self._unsent) <= size:
            self._wake_drain()

    def write(self, *pieces: bytes) -> None:
        """Send, or keep what the kernel has no room for. Does nothing on a failed connection."""
        if self._is_closed or self._is_closing or self.error is not None:
            return
        sent = 0 if self._unsent else self._send(pieces)
        if sent < sum(map(len, pieces)):
            self._keep(pieces, sent)

    def _send(self, pieces: Sequence[bytes]) -> int:
        try:
            return self._sock.send(pieces[0]) if len(pieces) == 1 else self._sock.sendmsg(pieces)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self.fail(error)
            return sum(map(len, pieces))

    def _keep(self, pieces: Sequence[bytes], sent: int) -> None:
        if not self._unsent:
            self._loop.add_writer(self._sock, self._write_on)
        self._unsent += memoryview(b"".join(pieces))[sent:]

    def _write_on(self) -> None:
        try:
            with memoryview(self._unsent) as waiting:
                sent = self._sock.send(waiting[: 4 * READ_SIZE])
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.fail(error)
            return
        del self._unsent[:sent]
        if self._draining is not None and len(self._unsent) <= self._high_water // 4:
            self._wake_drain()
        if not self._unsent:
            self._loop.remove_writer(self._sock)
            if self._is_closing:
                self._close()
            self.on_sent()

    def _wake_drain(self) -> None:
        draining, self._draining = self._draining, None
        if draining is not None and not draining.done():
            draining.set_result(None)

    async def drain(self) -> None:
        """Wait while more than `high_water` bytes are unsent."""
        if len(self._unsent) > self._high_water:
            self._draining = self._loop.create_future()
            await self._draining

    # Ending

    def fail(self, error: OSError) -> None:
        """Handle that the connection has broken."""
        self.error, self.is_at_end = error, True
        self.stop_reading()
        if self._unsent:
            self._loop.remove_writer(self._sock)
            self._unsent.clear()
        self._wake_drain()
        if self._is_closing:
            self._close()
        else:
            self.notify()

    def end_sending(self) -> None:
        """End our half once everything is sent; the peer's data can still be read."""
        if self._unsent:
            self.on_sent = self.end_sending
        else:
            self.on_sent = ignore
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def close(self, *, says_end: bool = True) -> None:
        """Close the connection once everything is sent."""
        self.stop_reading()
        self._is_closing = True
        if not self._unsent:
            self._close()

    def reset(self) -> None:
        """Reset the connection at once: the peer must not take an incomplete message as complete."""
        if not self._is_closed:
            reset_on_close(self._sock)
            self.fail_silently()

    def fail_silently(self) -> None:
        """Close at once, discarding unsent bytes."""
        self.stop_reading()
        if self._unsent:
            self._loop.remove_writer(self._sock)
            self._unsent.clear()
        self._close()

    def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = self.is_at_end = True
            self._sock.close()
            self._wake_drain()

    def detach(self) -> socket.socket:
        """Return the socket, which the caller owns from then on, along with the bytes still in `received`."""
        self.stop_reading()
        self._is_closed = True
        return self._sock


def _set_none(waiting: asyncio.Future[bool | None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
