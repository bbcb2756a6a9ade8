"""A bare, non-blocking socket in the event loop: what came, what is still to be sent, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence

from proxy_policies.relay.ends import reset_on_close

READ_SIZE = 65536
"""Bytes read at once, as mitmproxy does."""
READ_AHEAD = 2 * 65536
"""Bytes kept for whoever has not asked for them, more than a request's head may have; the rest waits in the kernel."""
HIGH_WATER = 65536
"""Bytes waiting to be sent beyond which a writer waits: asyncio's mark."""


def _ignore() -> None:
    """Do nothing."""


class SocketStream:
    """One connection. `on_readable` is called when bytes or the end have come and nobody waits for them."""

    def __init__(self, sock: socket.socket, on_readable: Callable[[], None] = _ignore) -> None:
        self.sock = sock
        self.on_readable = on_readable
        self.on_sent: Callable[[], None] = _ignore
        """Called when all that waited to be sent has been."""
        self.received = bytearray()
        self.total_received = 0
        self.is_at_end = False
        """No more will come."""
        self.error: OSError | None = None
        """Why not, unless the peer ended it properly."""
        self.is_closed = False
        self.high_water = HIGH_WATER
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._is_reading = self._is_closing = False
        self._waiting: asyncio.Future[bool | None] | None = None
        self._draining: asyncio.Future[None] | None = None

    # Receiving

    def start_reading(self) -> None:
        """Read whatever comes, up to READ_AHEAD bytes."""
        if len(self.received) < READ_AHEAD:
            self._read_on()

    def _read_on(self) -> None:
        if not (self._is_reading or self.is_at_end or self.is_closed):
            self._is_reading = True
            self._loop.add_reader(self.sock, self._read)

    def stop_reading(self) -> None:
        """Leave in the kernel what comes."""
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self.sock)

    def _read(self) -> None:
        try:
            data = self.sock.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.fail(error)
            return
        if data:
            self.received += data
            self.total_received += len(data)
            if len(self.received) >= READ_AHEAD:
                self.stop_reading()
        else:
            self.is_at_end = True
            self.stop_reading()
        self._notify()

    def _notify(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(not self.is_at_end)
        else:
            self.on_readable()

    def wait(self, seconds: float | None = None) -> asyncio.Future[bool | None]:
        """Return a future of what comes next: True for bytes, False for the end, None if neither within `seconds`.

        However much is there already, some more is read.
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
        """Return all that was received, and read on."""
        data = bytes(self.received)
        self.received.clear()
        return data

    # Sending

    @property
    def unsent(self) -> int:
        """The bytes that the kernel has not taken yet."""
        return len(self._unsent)

    def write(self, *pieces: bytes) -> None:
        """Send, or keep what the kernel has no room for. A connection that has failed takes nothing more."""
        if self.is_closed or self._is_closing or self.error is not None:
            return
        sent = 0 if self._unsent else self._send(pieces)
        if sent < sum(map(len, pieces)):
            self._keep(pieces, sent)

    def _send(self, pieces: Sequence[bytes]) -> int:
        try:
            return self.sock.send(pieces[0]) if len(pieces) == 1 else self.sock.sendmsg(pieces)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self.fail(error)
            return sum(map(len, pieces))

    def _keep(self, pieces: Sequence[bytes], sent: int) -> None:
        if not self._unsent:
            self._loop.add_writer(self.sock, self._write_on)
        self._unsent += memoryview(b"".join(pieces))[sent:]

    def _write_on(self) -> None:
        try:
            with memoryview(self._unsent) as waiting:
                sent = self.sock.send(waiting[: 4 * READ_SIZE])
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.fail(error)
            return
        del self._unsent[:sent]
        if self._draining is not None and len(self._unsent) <= self.high_water // 4:
            self._wake_drain()
        if not self._unsent:
            self._loop.remove_writer(self.sock)
            if self._is_closing:
                self._close()
            self.on_sent()

    def _wake_drain(self) -> None:
        draining, self._draining = self._draining, None
        if draining is not None and not draining.done():
            draining.set_result(None)

    async def drain(self) -> None:
        """Wait while more than `high_water` bytes wait to be sent."""
        if len(self._unsent) > self.high_water:
            self._draining = self._loop.create_future()
            await self._draining

    # Ending

    def fail(self, error: OSError) -> None:
        """Take note that the connection has broken."""
        self.error, self.is_at_end = error, True
        self.stop_reading()
        if self._unsent:
            self._loop.remove_writer(self.sock)
            self._unsent.clear()
        self._wake_drain()
        if self._is_closing:
            self._close()
        else:
            self._notify()

    def end_sending(self) -> None:
        """Send the end of our half, once everything is sent; what the peer still says can be read."""
        if self._unsent:
            self.on_sent = self.end_sending
        else:
            self.on_sent = _ignore
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection, once everything is sent."""
        self.stop_reading()
        self._is_closing = True
        if not self._unsent:
            self._close()

    def reset(self) -> None:
        """Break the connection off at once: what its peer has of a message is no whole one."""
        if not self.is_closed:
            reset_on_close(self.sock)
            self.fail_silently()

    def fail_silently(self) -> None:
        """Close at once, whatever is still to be sent."""
        self.stop_reading()
        if self._unsent:
            self._loop.remove_writer(self.sock)
            self._unsent.clear()
        self._close()

    def _close(self) -> None:
        if not self.is_closed:
            self.is_closed = self.is_at_end = True
            self.sock.close()
            self._wake_drain()

    def detach(self) -> socket.socket:
        """Give the socket away; what was received and not taken is the caller's to pass on."""
        self.stop_reading()
        self.is_closed = True
        return self.sock


def _set_none(waiting: asyncio.Future[bool | None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
