"""For Linux: moves bytes from socket to socket through a pipe, without copying them into this process (splice(2)).

A pipe is held only while it contains bytes, so that ten thousand quiet tunnels need none; a few idle ones are kept for
reuse.
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

PIPE_SIZE = 1 << 20  # bytes; the default of /proc/sys/fs/pipe-max-size
PIPE_MIN = 1 << 16  # bytes; beyond the soft limit of pipe pages, pipes are so small that copying is faster
MAX_POOLED = 32  # pipes kept for the next tunnel

UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP})


class Unsupported(OSError):
    """This method of moving bytes does not work here; `held` was read from the source and not delivered."""

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
        """Open the largest pipe allowed. Raise `Unsupported` if that is too small, or none is available."""
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
        """Close both descriptors; bytes in the pipe are lost."""
        os.close(self.read_fd)
        os.close(self.write_fd)

    def drain(self, held: int) -> bytes:
        """Read the `held` bytes back, for a method that copies."""
        return os.read(self.read_fd, held) if held else b""


def _enlarge(descriptor: int) -> int:
    """Ask for PIPE_SIZE and return the bytes granted."""
    with contextlib.suppress(OSError):  # over the user's limit: use the size that there is
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    granted: int = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    return granted


class Pipes:
    """Idle, empty pipes, at most MAX_POOLED of them."""

    def __init__(self) -> None:
        self._idle: list[Pipe] = []

    def acquire(self) -> Pipe:
        """Return an empty pipe. Raise `Unsupported` if none is available."""
        try:
            return self._idle.pop()
        except IndexError:
            return Pipe.open()

    def release(self, pipe: Pipe) -> None:
        """Return an empty pipe to the pool."""
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
        """Read from the source, one full pipe at most; return the bytes read.

        Raise `Unsupported` if there are none: at the end of file, or at urgent data (RFC 6093); a read shows which.
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
        """Send held bytes to the sink; return how many it accepted."""
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
        """Release the pipe; bytes in it are lost."""
        if self.held:
            self._pipe.close()
            self.held = 0
