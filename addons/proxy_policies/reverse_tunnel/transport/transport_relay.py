"""Relays between two asyncio transports, by protocol callbacks, for connections other than bare sockets.

Every read is written to the other side at once, from one shared buffer, without copying as long as that side keeps up;
if it does not, reading is paused. An end of file is passed on as a half-close. If a connection fails, the other is
reset: bare connections must have `reset_on_close` set.
"""

from __future__ import annotations

import asyncio
import errno
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from proxy_policies.byte_streams.socket_options import reset_on_close
from proxy_policies.outbound import tcp_connect
from proxy_policies.relay.link import ByteCounts, broken_by
from proxy_policies.reverse_tunnel.protocol.frames import Bytes
from proxy_policies.reverse_tunnel.transport import read_buffer
from proxy_policies.reverse_tunnel.transport.framed import Framed

Pace = Callable[[int], float]
"""Called with the size of received data; returns for how many seconds to pause reading."""

OnData = Callable[[bool, Bytes], None]
"""Called with whether data is from the first end, and with the data, which it must copy to keep."""


class EndNames(NamedTuple):
    """The names of both ends, and of the relay, in error messages."""

    a: str = "the first end"
    b: str = "the second end"
    relay: str = "the relay"


async def relay_transports(
    a: Any,
    b: Any,
    *,
    counts: ByteCounts | None = None,
    pace: Pace | None = None,
    tap: OnData | None = None,
    names: EndNames = EndNames(),  # noqa: B008 -- it cannot be changed
) -> ByteCounts:
    """Relay between two transports until both directions have ended, or a connection has failed.

    Close both, also if cancelled. Never raise OSError: see `ByteCounts.error`.
    """
    counts = counts or ByteCounts()
    ends = _Side(a, counts.add_up, pace, names.a), _Side(b, counts.add_down, pace, names.b)
    ends[0].far, ends[1].far = ends[1], ends[0]
    if tap is not None:
        ends[0].tap, ends[1].tap = functools.partial(tap, True), functools.partial(tap, False)
    for end in sorted(
        ends, key=lambda end: isinstance(end.transport, Framed)
    ):  # framed ones last, as they may have queued bytes
        end.start()
    try:
        await asyncio.gather(*(end.lost for end in ends))
    except OSError as error:
        counts.error = tcp_connect.reason(error, None)
    finally:
        for end in ends:
            end.lost.cancel()
            end.abort(counts.error or f"{names.relay} ended the session")
    return counts


class _Side(asyncio.BufferedProtocol):
    """One of the two connections; `far` is the other."""

    far: _Side
    tap: Callable[[Bytes], None] | None = None

    def __init__(self, transport: Any, count: Callable[[int], None], pace: Pace | None, name: str) -> None:
        self.transport, self._name = transport, name
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count, self._pace = count, pace
        self._pauses = 0  # number of reasons not to read
        self._ended = False

    def start(self) -> None:
        """Set this as the transport's protocol."""
        self.transport.set_protocol(self)
        if self.transport.is_closing():
            self.connection_lost(ConnectionResetError("disconnected before it was linked"))
        elif not self.transport.is_reading() and not self._pauses:
            self.transport.resume_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the thread's buffer for one read."""
        return read_buffer.payload()

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on data read by a bare transport."""
        far = self.far.transport
        if self.tap is not None:
            self.tap(read_buffer.view()[:nbytes])
        if isinstance(far, Framed):
            far.write_from_buffer(nbytes)
        else:
            far.write(read_buffer.view()[:nbytes])
        self._account(nbytes)

    def data_received(self, data: Bytes) -> None:
        """Pass on data read by a framed transport, also into the thread's buffer."""
        if self.tap is not None:
            self.tap(data)
        self.far.transport.write(data)
        self._account(len(data))

    def _account(self, nbytes: int) -> None:
        if self.far.transport.get_write_buffer_size():
            read_buffer.detach()
        self._count(nbytes)
        if self._pace is not None and (rest := self._pace(nbytes)) > 0:
            self.pause()
            asyncio.get_running_loop().call_later(rest, self.resume)

    def eof_received(self) -> bool:
        """Pass the half-close on, and stay open for the other direction."""
        if self._ended:
            return True
        self._ended = True
        self.far._end_out()
        self._finish()
        self.far._finish()
        return True

    def _end_out(self) -> None:
        """Half-close the connection, unless it was reset after its own end, which asyncio does not notice."""
        if self.transport.is_closing():
            return
        try:
            self.transport.write_eof()
        except OSError:
            self.connection_lost(ConnectionResetError(errno.ECONNRESET, "connection reset"))

    def _finish(self) -> None:
        if self._ended and self.far._ended:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Reset the far side, unless both directions have ended regularly."""
        if not self.lost.done():
            clean = exc is None and self._ended and self.far._ended
            if clean and (sock := self.transport.get_extra_info("socket")) is not None:
                reset_on_close(sock, False)
            self.lost.set_result(None) if clean else self.lost.set_exception(self._broken(exc))

    def _broken(self, exc: Exception | None) -> Exception:
        """Return the error with the side that failed; for a framed connection, with the peer's reason."""
        if isinstance(exc, OSError) and exc.errno is not None:
            return ConnectionResetError(broken_by(self._name, exc))
        return exc or ConnectionResetError(f"{self._name} closed the connection")

    def pause_writing(self) -> None:
        """Pause reading from the far side while this one's write buffer is full."""
        self.far.pause()

    def resume_writing(self) -> None:
        """Read from the far side again."""
        self.far.resume()

    def pause(self) -> None:
        """Add a reason not to read."""
        self._pauses += 1
        self.transport.pause_reading()

    def resume(self) -> None:
        """Remove a reason; without any, read again."""
        self._pauses -= 1
        spent = self._ended and not isinstance(self.transport, Framed)  # asyncio would read its end again
        if not self._pauses and not spent and not self.transport.is_closing():
            self.transport.resume_reading()

    def abort(self, reason: str) -> None:
        """Reset the connection, if it is still open."""
        if isinstance(self.transport, Framed):
            self.transport.reset(reason)
        else:
            self.transport.abort()
