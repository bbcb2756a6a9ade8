"""Links two connections in both directions.

`relay_streams` links streams, `relay_sockets` bare sockets; `relay_one_way` is one direction, for callers that switch
each at a different time. The method is found by trying, per direction: splice, else copying between bare sockets, else
asyncio's streams.

An end of file is passed on as a half-close, and the other direction continues. A connection that fails when read ends
the link; one that accepts no more bytes ends only its direction, as it may still send some. A link that ends by an
error, or because this process ends, resets both connections: cut-off data must not look complete.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy_policies.byte_streams.socket_options import reset_on_close
from proxy_policies.log_lines import quantity
from proxy_policies.outbound import tcp_connect
from proxy_policies.relay import sockets, streams
from proxy_policies.relay.ends import Broken, StreamEnd, WriteError
from proxy_policies.relay.sockets import Direction, OnBytes, Pump
from proxy_policies.relay.splice import Unsupported

__all__ = ["ByteCounts", "StreamEnd", "WriteError", "relay_one_way", "relay_sockets", "relay_streams"]

FOREVER = 3e8  # seconds: ten years; event loops differ in how they treat infinity


@dataclass(slots=True)
class ByteCounts:
    """Bytes that a link has delivered each way, and why it ended early ("" if it did not)."""

    up: int = 0
    down: int = 0
    error: str = ""
    active: float = field(default_factory=time.monotonic)

    def account(self, seconds: float) -> str:
        """Return a summary of the bytes, the given duration, and why it ended early."""
        error = f" ({self.error})" if self.error else ""
        return f"{quantity(self.up, 'byte')} up, {quantity(self.down, 'byte')} down, {seconds:.1f} s{error}"

    def add_up(self, size: int) -> None:
        """Count bytes delivered from the first end to the second."""
        self.up += size
        self.active = time.monotonic()

    def add_down(self, size: int) -> None:
        """Count bytes delivered from the second end to the first."""
        self.down += size
        self.active = time.monotonic()


async def relay_streams(a: StreamEnd, b: StreamEnd, *, idle: float, counts: ByteCounts | None = None) -> ByteCounts:
    """Relay between `a` and `b` until both end, a connection fails, or no byte moves for `idle` seconds (0: ever).

    Return the counts (those given, if any: they can be read while the link exists, and after its cancellation). Never
    raise OSError: see `ByteCounts.error`. The caller must close both stream pairs, and cannot use them otherwise.
    """
    counts = counts or ByteCounts()
    socks = [sock for end in (a, b) if (sock := end.writer.get_extra_info("socket")) is not None]
    ways = [asyncio.ensure_future(way) for way in (_way(a, b, counts.add_up), _way(b, a, counts.add_down))]
    try:
        await _until(asyncio.gather(*ways), counts, idle, socks)
    finally:
        if not all(way.done() for way in ways):
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
    return counts


async def relay_sockets(
    a: socket.socket,
    b: socket.socket,
    *,
    rest: bytes = b"",
    idle: float,
    counts: ByteCounts | None = None,
    names: tuple[str, str] = ("the first end", "the second end"),
) -> ByteCounts:
    """Do as `relay_streams` for two bare, non-blocking sockets without a transport.

    It starts no task, and duplicates nothing.

    `rest` has already been read from `a`; `names` are the names of `a` and `b` in `ByteCounts.error`. The loop must be
    able to watch bare sockets, as all but proactors are.
    """
    counts = counts or ByteCounts()
    loop = asyncio.get_running_loop()
    over = _BothEnds(loop)
    of_a, of_b = Broken(), Broken()
    pumps = [
        Pump(loop, Direction(a, b, of_a, of_b), counts.add_up, functools.partial(over.one, names[0]), rest),
        Pump(loop, Direction(b, a, of_b, of_a), counts.add_down, functools.partial(over.one, names[1])),
    ]
    try:
        for pump in pumps:
            pump.start()
        await _until(over.future, counts, idle, (a, b))
    finally:
        for pump in pumps:
            pump.stop()
    return counts


class _BothEnds:
    """A future for the end of both directions. A sink that accepts no more bytes ends only its direction."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[None] = loop.create_future()
        self._left = 2

    def one(self, source: str, error: OSError | None) -> None:
        """Note the end of the direction whose source has this name."""
        self._left -= 1
        if self.future.done():
            return
        if error is not None and not isinstance(error, WriteError):
            self.future.set_exception(ConnectionError(broken_by(source, error)))
        elif not self._left:
            self.future.set_result(None)


def broken_by(who: str, error: OSError) -> str:
    """Return in plain words which side broke an established connection, and how."""
    if error.errno == errno.ECONNRESET:
        return f"{who} reset the connection"
    return f"{who}: {tcp_connect.reason(error, None)}"


async def _until(over: asyncio.Future[Any], counts: ByteCounts, idle: float, socks: Sequence[Any]) -> None:
    """Wait for the end of a link; the reason for an early end is stored in the counts.

    `socks` are reset on close, unless both directions ended, or the link was idle.
    """
    counts.active = time.monotonic()
    watch = _IdleTimer(counts, idle or FOREVER, over)
    for sock in socks:
        reset_on_close(sock)
    try:
        await over
    except OSError as error:
        counts.error = str(error) or type(error).__name__
        return
    except asyncio.CancelledError:
        if not watch.is_over:
            raise
        counts.error = f"nothing moved for {idle:g} s"
    finally:
        watch.end()
    for sock in socks:
        reset_on_close(sock, False)


async def relay_one_way(source: StreamEnd, sink: StreamEnd, tally: OnBytes) -> None:
    """Move bytes from source to sink until end of file, and pass that on as a half-close.

    `tally` is called with the size of every chunk delivered. Raise `WriteError` if the sink accepts no more, another
    OSError if the source fails.
    """
    try:
        await sockets.copy_until_eof(source, sink, tally)
    except Unsupported:
        await streams.copy_until_eof(source, sink, tally)


async def _way(source: StreamEnd, sink: StreamEnd, tally: OnBytes) -> None:
    """Relay one direction of a link; if its sink accepts no more, the other continues."""
    try:
        await relay_one_way(source, sink, tally)
    except WriteError:
        return


class _IdleTimer:
    """Cancels a link after `idle` seconds without a byte."""

    def __init__(self, counts: ByteCounts, idle: float, over: asyncio.Future[Any]) -> None:
        self._counts, self._idle, self._over = counts, idle, over
        self._loop = over.get_loop()
        self._timer = self._loop.call_later(idle, self._look)
        self.is_over = False

    def _look(self) -> None:
        left = self._counts.active + self._idle - time.monotonic()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self.is_over = True
            self._over.cancel()

    def end(self) -> None:
        """Stop the timer."""
        self._timer.cancel()
