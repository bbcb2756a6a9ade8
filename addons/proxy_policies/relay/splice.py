"""Linux: bytes go from socket to socket through a pipe, and never visit this process (splice(2)).

A pipe is held only while bytes are in it, so that ten thousand quiet tunnels own none; a few idle ones are kept
for the next to come.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

PIPE_SIZE = 1 << 20  # bytes; what /proc/sys/fs/pipe-max-size allows anybody by default
PIPE_MIN = 1 << 16  # bytes; a user over the soft limit of pipe pages gets pipes so small that copying is faster
MAX_POOLED = 32  # pipes kept for the next tunnel

UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP})


class Unsupported(OSError):
    """This way of moving bytes does not work here; `held` is what it had taken from the source and not delivered."""

    def __init__(self, reason: object, held: bytes = b"") -> None:
        super().__init__(str(reason))
        self.held = held


@dataclass(frozen=True, slots=True)
class Pipe:
    """Both descriptors of a pipe, non-blocking, and the bytes it can hold."""

    read_fd: int
    write_fd: int
    size: int

    @classmethod
    def open(cls) -> Pipe:
        """Open the largest pipe we may have. `Unsupported` when there is none worth having."""
        try:
            way_out, way_in = os.pipe()
        except OSError as error:
            raise Unsupported(error) from error
        for end in (way_out, way_in):
            os.set_blocking(end, False)
        pipe = cls(way_out, way_in, _enlarge(way_in))
        if pipe.size < PIPE_MIN:
            pipe.close()
            raise Unsupported("pipes are limited to a few pages")
        return pipe

    def close(self) -> None:
        """Close both descriptors; what is in the pipe is lost."""
        os.close(self.read_fd)
        os.close(self.write_fd)

    def drain(self, held: int) -> bytes:
        """Read the `held` bytes back out, for a way that copies."""
        return os.read(self.read_fd, held) if held else b""


def _enlarge(descriptor: int) -> int:
    """Ask for PIPE_SIZE and return the bytes granted."""
    with contextlib.suppress(OSError):  # over the user's limit: what there is will have to do
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    granted: int = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    return granted


class Pipes:
    """Idle, empty pipes, at most SPARE of them."""

    def __init__(self) -> None:
        self._idle: list[Pipe] = []

    def acquire(self) -> Pipe:
        """Return an empty pipe. `Unsupported` when there is none to be had."""
        try:
            return self._idle.pop()
        except IndexError:
            return Pipe.open()

    def release(self, pipe: Pipe) -> None:
        """Hand an empty pipe back."""
        if len(self._idle) < MAX_POOLED:
            self._idle.append(pipe)
        else:
            pipe.close()

    def close(self) -> None:
        """Close every idle pipe."""
        while self._idle:
            self._idle.pop().close()


PIPES = Pipes()


class Splice:
    """Moves one direction through a pipe. See `sockets.Transfer` for the contract."""

    def __init__(self, source: int, sink: int, pipes: Pipes = PIPES) -> None:
        if not hasattr(os, "splice") or fcntl is None:
            raise Unsupported("this system has no splice")
        self.held = 0
        self._source, self._sink, self._pipes = source, sink, pipes
        self._pipe: Pipe
        self._flags = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE

    def fill(self) -> int:
        """Take what the source has, one pipe full at most.

        `Unsupported` where nothing is taken: its end of file, or urgent data (RFC 6093), and a read tells which.
        """
        pipe = self._pipes.acquire()
        try:
            self.held = os.splice(self._source, pipe.write_fd, pipe.size, flags=self._flags)
        except OSError as error:
            if error.errno in UNSUPPORTED:
                raise Unsupported(error) from error
            raise
        finally:
            if self.held:
                self._pipe = pipe
            else:
                self._pipes.release(pipe)
        if not self.held:
            raise Unsupported("nothing to splice")
        return self.held

    def drain(self) -> int:
        """Send what the sink takes of the bytes held; return how many that were."""
        try:
            moved = os.splice(self._pipe.read_fd, self._sink, self.held, flags=self._flags)
        except OSError as error:
            if error.errno in UNSUPPORTED:
                raise Unsupported(error, self._pipe.drain(self.held)) from error
            raise
        self.held -= moved
        if not self.held:
            self._pipes.release(self._pipe)
        return moved

    def close(self) -> None:
        """Let go of the pipe; the bytes in it are lost."""
        if self.held:
            self._pipe.close()
            self.held = 0
