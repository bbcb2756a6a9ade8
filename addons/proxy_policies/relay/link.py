"""Joins two connections both ways.

`relay_streams` is the whole thing; `relay_sockets` the same for bare sockets; `relay_one_way` one direction, for a
caller that has to switch each at a moment of its own. Which way is taken is found by trying, per direction: splice,
else copying between bare sockets, else asyncio's streams.

End of file passes on as half-close, and the other direction goes on. A connection that fails when read ends the link;
one that takes no more bytes ends its direction only, for it may still have something to say. A link that ends by an
error, or by the end of this process, resets both connections: what was cut off is no end of file.
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

from proxy_policies.outbound import tcp_connect
from proxy_policies.relay import sockets, streams
from proxy_policies.relay.ends import Broken, StreamEnd, WriteError
from proxy_policies.relay.sockets import Direction, OnBytes, Pump
from proxy_policies.relay.splice import Unsupported
from proxy_policies.socket_options import reset_on_close

__all__ = ["ByteCounts", "StreamEnd", "WriteError", "relay_one_way", "relay_sockets", "relay_streams"]

FOREVER = 3e8  # seconds: ten years; event loops differ in what they make of infinity


@dataclass(slots=True)
class ByteCounts:
    """What went through a link so far: bytes delivered each way, and why it ended early ("" if it did not)."""

    up: int = 0
    down: int = 0
    error: str = ""
    active: float = field(default_factory=time.monotonic)

    def account(self, seconds: float) -> str:
        """Return what went through within so many seconds, and why it ended early."""
        error = f" ({self.error})" if self.error else ""
        return f"{self.up} bytes up, {self.down} bytes down, {seconds:.1f} s{error}"

    def add_up(self, size: int) -> None:
        """Count bytes delivered from the first end to the second."""
        self.up += size
        self.active = time.monotonic()

    def add_down(self, size: int) -> None:
        """Count bytes delivered from the second end to the first."""
        self.down += size
        self.active = time.monotonic()


async def relay_streams(a: StreamEnd, b: StreamEnd, *, idle: float, counts: ByteCounts | None = None) -> ByteCounts:
    """Relay between `a` and `b` until both have ended, a connection failed, or `idle` seconds (0: ever) without a byte.

    Returns the counts (those given, if any: they can be read while the link lives, and after its cancellation). Never
    raises OSError: that is `ByteCounts.error`. Both stream pairs stay the caller's to close, and are of no other use.
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
    """Do as `relay_streams` for two bare, non-blocking sockets that no transport of the loop knows.

    It takes no task, and duplicates nothing.

    `rest` has been read from `a` already; `names` are what `a` and `b` are called in `ByteCounts.error`.
    The loop must watch bare sockets, as all but proactors do.
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
    """A future of two directions' end. One that takes no more bytes ends its direction only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[None] = loop.create_future()
        self._left = 2

    def one(self, source: str, error: OSError | None) -> None:
        """Take note of the end of one, whose source is called so."""
        self._left -= 1
        if self.future.done():
            return
        if error is not None and not isinstance(error, WriteError):
            self.future.set_exception(ConnectionError(broken_by(source, error)))
        elif not self._left:
            self.future.set_result(None)


def broken_by(who: str, error: OSError) -> str:
    """Return in plain words who broke a connection that was up, and how."""
    if error.errno == errno.ECONNRESET:
        return f"{who} reset the connection"
    return f"{who}: {tcp_connect.reason(error, None)}"


async def _until(over: asyncio.Future[Any], counts: ByteCounts, idle: float, socks: Sequence[Any]) -> None:
    """Wait for the end of a link; why it came early goes into the counts.

    `socks` are reset when they are closed, unless both directions ended, or nothing moved any more.
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

    `tally` is called with the size of every chunk delivered. Raises `WriteError` when the sink takes
    no more, another OSError when the source fails.
    """
    try:
        await sockets.copy_until_eof(source, sink, tally)
    except Unsupported:
        await streams.copy_until_eof(source, sink, tally)


async def _way(source: StreamEnd, sink: StreamEnd, tally: OnBytes) -> None:
    """One direction of a link; the other outlives a sink that takes no more."""
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
        """Watch no more."""
        self._timer.cancel()
