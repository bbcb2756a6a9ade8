"""One direction between two bare sockets, driven by the event loop's readiness callbacks.

Each turn moves what is ready, up to a burst, and then lets the other tunnels have theirs. A direction waits for one
thing at a time: for its source while nothing is held, else for its sink. That is all the back-pressure there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Protocol

from proxy_policies.relay.copying import Copy
from proxy_policies.relay.ends import End, SinkError
from proxy_policies.relay.splice import Splice, Unsupported

BURST = 4  # bites in a turn: 4 MiB through a full pipe, a millisecond or two

Tally = Callable[[int], None]
"""Told the size of every bite delivered."""


class Mover(Protocol):
    """A way to move bytes. `fill` only when nothing is held; both raise BlockingIOError instead of waiting."""

    held: int

    def fill(self) -> int:
        """Take bytes from the source; 0 at its end of file."""

    def drain(self) -> int:
        """Give bytes to the sink; returns how many it took."""

    def close(self) -> None:
        """Release what is held."""


def movers(source: socket.socket, sink: socket.socket) -> list[Callable[[], Mover]]:
    """Return the ways to move bytes, fastest first."""
    return [lambda: Splice(source.fileno(), sink.fileno()), lambda: Copy(source, sink)]


async def carry(source: End, sink: End, tally: Tally) -> None:
    """Move bytes from source to sink until end of file, and pass that on. Raises as `link.carry`, and `Unsupported`.

    `Unsupported` comes before anything is touched: the streams are as they were.
    """
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        origin, target = _borrow(loop, stack, source, sink)
        with _sink_errors():
            await sink.flush()
        rest = source.take()
        for make in movers(origin, target):
            await _send(loop, target, rest, tally)
            try:
                await Pump(loop, origin, target, make(), tally).run()
                break
            except Unsupported as unsupported:
                rest = unsupported.held
        with contextlib.suppress(OSError):  # gone already
            target.shutdown(socket.SHUT_WR)


def _borrow(
    loop: asyncio.AbstractEventLoop, stack: contextlib.ExitStack, source: End, sink: End
) -> tuple[socket.socket, socket.socket]:
    """Duplicate both sockets, to be closed with the stack, and make sure that the loop watches bare sockets."""
    try:
        origin = stack.enter_context(source.borrow())
        target = stack.enter_context(sink.borrow())
        loop.remove_reader(origin)  # a no-op, or NotImplementedError: proactor loops watch no sockets
    except (OSError, NotImplementedError) as error:
        raise Unsupported(error) from error
    return origin, target


async def _send(loop: asyncio.AbstractEventLoop, target: socket.socket, data: bytes, tally: Tally) -> None:
    if data:
        with _sink_errors():
            await loop.sock_sendall(target, data)
        tally(len(data))


@contextlib.contextmanager
def _sink_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkError(*error.args) from error


class Pump:
    """Runs one mover until its source's end of file, or an error."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, source: socket.socket, sink: socket.socket, mover: Mover, tally: Tally
    ) -> None:
        self._loop, self._source, self._sink, self._mover, self._tally = loop, source, sink, mover, tally
        self._ended: asyncio.Future[None] = loop.create_future()
        self._awaits_sink = False

    async def run(self) -> None:
        """Return at end of file. OSError from the source, `SinkError` from the sink, `Unsupported` from the mover."""
        self._loop.add_reader(self._source, self._turn)
        try:
            await self._ended
        finally:
            self._loop.remove_reader(self._source)
            self._loop.remove_writer(self._sink)
            self._mover.close()

    def _turn(self) -> None:
        try:
            for _ in range(BURST):
                if not self._mover.held and not self._mover.fill():
                    self._end(None)
                    return
                self._tally(self._mover.drain())
        except (BlockingIOError, InterruptedError):
            self._wait_for_sink(bool(self._mover.held))
        except OSError as error:
            self._end(error)

    def _wait_for_sink(self, sink: bool) -> None:
        """Watch the sink while bytes are held, else the source."""
        if sink is self._awaits_sink:
            return
        self._awaits_sink = sink
        if sink:
            self._loop.remove_reader(self._source)
            self._loop.add_writer(self._sink, self._turn)
        else:
            self._loop.remove_writer(self._sink)
            self._loop.add_reader(self._source, self._turn)

    def _end(self, error: OSError | None) -> None:
        if self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        elif self._mover.held and not isinstance(error, Unsupported):
            self._ended.set_exception(SinkError(*error.args))
        else:
            self._ended.set_exception(error)
