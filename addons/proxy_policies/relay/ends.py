"""The two ends of a link, and borrowing a socket from the event loop's streams.

A stream pair belongs to asyncio; fast transfers need the bare socket under it. Rules:

- the pair remains its owner's: we work on a duplicate of its descriptor, and the owner closes the pair afterwards;
- data already buffered by the reader comes first, and data not yet sent by the writer goes before ours;
- one direction needs the reader of one end and the writer of the other, and touches nothing else. So the two
  directions of a link may start at different times.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from dataclasses import dataclass, field
from typing import Any

from proxy_policies.byte_streams.socket_options import reset_on_close


class WriteError(OSError):
    """The sink of a direction accepts no more bytes; the other direction may still carry some."""


@dataclass(slots=True)
class Broken:
    """Why a connection accepts no more bytes, as found by the direction that sends to it.

    The kernel reports a reset only once (socket(7), SO_ERROR): after a send has got the error, a read of the same
    socket wrongly shows an end of file.
    """

    error: OSError | None = None

    def note(self, error: OSError) -> None:
        """Note a failed send. EPIPE follows a real end of file from the peer."""
        if error.errno != errno.EPIPE:
            self.error = error


@dataclass(slots=True)
class StreamEnd:
    """One end of a link: an open stream pair, and `prefix`, bytes already read from it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    prefix: bytes = b""
    broken: Broken = field(default_factory=Broken)

    @property
    def encrypted(self) -> bool:
        """Return whether the socket's bytes differ from the stream's, because of TLS in the event loop."""
        return self.writer.get_extra_info("ssl_object") is not None

    def dup_socket(self) -> socket.socket:
        """Return a non-blocking duplicate of the socket. Raise OSError if there is none, or no longer."""
        sock: Any = self.writer.get_extra_info("socket")
        if sock is None or self.encrypted or self.transport.is_closing():
            raise OSError("the stream is not a plain socket (any more)")
        double: socket.socket = sock.dup()
        double.setblocking(False)
        return double

    def take_buffered(self) -> bytes:
        """Stop the event loop's reading, and return every byte read so far, prefix first."""
        taken = bytearray(self.prefix)
        self.prefix = b""
        while data := _read_nowait(self.reader):
            taken += data
        # Last, because draining a reader that had paused its transport resumes that.
        with contextlib.suppress(RuntimeError):  # closed, or at its end of file
            self.transport.pause_reading()
        return bytes(taken)

    async def flush(self) -> None:
        """Wait until the kernel has accepted every byte written so far. Raise OSError if it never will."""
        self.transport.set_write_buffer_limits(high=0)
        await self.writer.drain()

    def reset(self) -> None:
        """Reset the connection, so that its peer does not see an end of file."""
        if (sock := self.writer.get_extra_info("socket")) is not None:
            reset_on_close(sock)
        self.transport.abort()

    @property
    def transport(self) -> Any:
        """The transport, which needs both pause_reading and set_write_buffer_limits."""
        return self.writer.transport


def _read_nowait(reader: asyncio.StreamReader) -> bytes:
    """Return what can be read without waiting: buffered bytes, else none."""
    attempt = reader.read(1 << 20)
    try:
        attempt.send(None)
    except StopIteration as done:
        data: bytes = done.value
        return data
    except OSError:
        return b""  # the connection broke: the next read of its socket gets the error
    finally:
        attempt.close()
    return b""
