"""One direction between two bare sockets, driven by the event loop's readiness callbacks.

Each turn moves the bytes that are ready, up to a limit, then lets other tunnels have their turn. A direction waits for
one thing at a time: its source while it holds no bytes, else its sink. This alone provides back-pressure.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from proxy_policies.relay.ends import Broken, StreamEnd, WriteError
from proxy_policies.relay.splice import Splice, Unsupported

BUFFER = 1 << 18  # bytes; larger buffers gained nothing on loopback
CHUNKS_PER_TURN = 4  # chunks in a turn: 4 MiB through a full pipe, a millisecond or two

OnBytes = Callable[[int], None]
"""Called with the size of every chunk delivered."""


class Transfer(Protocol):
    """A method of moving bytes. Call `fill` only when none are held; both raise BlockingIOError instead of waiting."""

    held: int

    def fill(self) -> int:
        """Read bytes from the source; return 0 at its end of file."""

    def drain(self) -> int:
        """Send bytes to the sink; return how many it accepted."""

    def close(self) -> None:
        """Discard held bytes."""


class _Scratch(threading.local):
    """One buffer for all tunnels of a thread, possible because drain directly follows fill."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(BUFFER))


_scratch = _Scratch()


class Copy:
    """Moves one direction by copying through one buffer per thread, with recv_into and send: works on any Unix."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.held = 0
        self._source, self._sink = source, sink
        self._rest = memoryview(b"")

    def fill(self) -> int:
        """Read from the source, one buffer at most; return the bytes read, 0 at its end of file."""
        self.held = self._source.recv_into(_scratch.view)
        self._rest = _scratch.view[: self.held]
        return self.held

    def drain(self) -> int:
        """Send held bytes to the sink; return how many it accepted."""
        moved = 0
        try:
            moved = self._sink.send(self._rest)
        finally:
            self.held -= moved
            self._keep(self._rest[moved:])
        return moved

    def _keep(self, rest: memoryview) -> None:
        """Copy what the sink did not accept, because other tunnels reuse the scratch buffer."""
        self._rest = memoryview(bytes(rest)) if rest.obj is _scratch.view.obj else rest

    def close(self) -> None:
        """Discard held bytes."""
        self._rest = memoryview(b"")


def transfers(source: socket.socket, sink: socket.socket) -> list[Callable[[], Transfer]]:
    """Return the methods of moving bytes, fastest first."""
    return [lambda: Splice(source.fileno(), sink.fileno()), lambda: Copy(source, sink)]


async def copy_until_eof(source: StreamEnd, sink: StreamEnd, tally: OnBytes) -> None:
    """Move bytes from source to sink until end of file, and pass that on. Raise as `link.relay_one_way`.

    Also raise `Unsupported`, before touching anything: the streams are unchanged.
    """
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        origin, target = _borrow(loop, stack, source, sink)
        with _sink_errors():
            await sink.flush()
        over: asyncio.Future[None] = loop.create_future()
        pump = Pump(
            loop,
            Direction(origin, target, source.broken, sink.broken),
            tally,
            functools.partial(_settle, over),
            source.take_buffered(),
        )
        try:
            pump.start()
            await over
        finally:
            pump.stop()


def _borrow(
    loop: asyncio.AbstractEventLoop, stack: contextlib.ExitStack, source: StreamEnd, sink: StreamEnd
) -> tuple[socket.socket, socket.socket]:
    """Duplicate both sockets, to be closed with the stack, and check that the loop can watch bare sockets."""
    try:
        origin = stack.enter_context(source.dup_socket())
        target = stack.enter_context(sink.dup_socket())
        loop.remove_reader(origin)  # a no-op, or NotImplementedError in proactor loops, which cannot watch sockets
    except (OSError, NotImplementedError) as error:
        raise Unsupported(error) from error
    return origin, target


@contextlib.contextmanager
def _sink_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(*error.args) from error


def _settle(future: asyncio.Future[None], error: OSError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


class Direction(NamedTuple):
    """A direction: its source and sink, and errors that the other direction has found on them."""

    source: socket.socket
    sink: socket.socket
    source_broken: Broken
    sink_broken: Broken


class Pump:
    """One direction, from `start` to its source's end of file, which it passes on, an error, or `stop`.

    Then, but never after `stop`, `ended` is called: with None, `WriteError`, or another OSError for the source's.
    `rest` has already been read from the source.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        way: Direction,
        tally: OnBytes,
        ended: Callable[[OSError | None], None],
        rest: bytes = b"",
    ) -> None:
        self._loop, self._tally, self._ended = loop, tally, ended
        self._source, self._sink, self._source_broken, self._sink_broken = way
        self._rest = rest
        self._transfers = iter(transfers(self._source, self._sink))
        self._transfer = self._next_transfer()
        self._awaits_sink = False

    def start(self) -> None:
        """Start moving bytes."""
        self._loop.add_reader(self._source, self._turn)
        if self._rest:
            self._turn()

    def stop(self) -> None:
        """Stop moving bytes; held ones are lost."""
        self._loop.remove_writer(self._sink) if self._awaits_sink else self._loop.remove_reader(self._source)
        self._transfer.close()

    def _next_transfer(self) -> Transfer:
        for make in self._transfers:
            with contextlib.suppress(Unsupported):
                return make()
        raise Unsupported("no way is left")  # never: copying always works

    def _turn(self) -> None:
        has_moved = False
        try:
            for _ in range(CHUNKS_PER_TURN):
                if not self._move():
                    self._end(self._source_broken.error)
                    return
                has_moved = True
        except (BlockingIOError, InterruptedError):
            if not (has_moved or self._holds) and isinstance(self._transfer, Splice):
                self._transfer = self._next_transfer()  # readable, and yet nothing to splice: urgent data (RFC 6093)
        except Unsupported as unsupported:
            self._transfer.close()
            self._rest, self._transfer = unsupported.held, self._next_transfer()
        except OSError as error:
            self._fail(error)
            return
        self._wait()  # after a full turn, too: its last chunk may have been accepted only in part

    def _fail(self, error: OSError) -> None:
        """End with an error: the source's, or the sink's if bytes are held."""
        if self._holds:
            self._sink_broken.note(error)
            error = WriteError(*error.args)
        self._end(error)

    def _move(self) -> bool:
        """Move one chunk; return False at the source's end of file."""
        if self._rest:
            sent = self._sink.send(self._rest)
            self._rest = self._rest[sent:]
            self._tally(sent)
        elif self._transfer.held or self._transfer.fill():
            self._tally(self._transfer.drain())
        else:
            return False
        return True

    @property
    def _holds(self) -> bool:
        return bool(self._rest or self._transfer.held)

    def _wait(self) -> None:
        """Watch the sink while bytes are held, else the source."""
        if self._holds is self._awaits_sink:
            return
        self._awaits_sink = not self._awaits_sink
        if self._awaits_sink:
            self._loop.remove_reader(self._source)
            self._loop.add_writer(self._sink, self._turn)
        else:
            self._loop.remove_writer(self._sink)
            self._loop.add_reader(self._source, self._turn)

    def _end(self, error: OSError | None) -> None:
        self.stop()
        if error is None:
            with contextlib.suppress(OSError):  # gone already
                self._sink.shutdown(socket.SHUT_WR)
        self._ended(error)
