"""The two ends of a link, and how a socket is borrowed from the event loop's streams.

A stream pair is asyncio's; the fast ones want the bare socket under it. Rules:

- the pair stays its owner's: we work on a duplicate of its descriptor, and the owner closes the pair afterwards;
- what the reader has already taken in comes first, what the writer has not yet sent has to go before ours;
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

from proxy_policies.socket_options import reset_on_close


class WriteError(OSError):
    """The far side of a direction takes no more bytes; the other direction may still have some to give."""


@dataclass(slots=True)
class Broken:
    """Why a connection takes no more bytes, as the direction that sends to it has found.

    The kernel reports a reset once (socket(7), SO_ERROR): a send gets the error, and a read of the same socket then
    finds an end of file that is none.
    """

    error: OSError | None = None

    def note(self, error: OSError) -> None:
        """Take note of a failed send. EPIPE comes after the peer's own end of file, which was one then."""
        if error.errno != errno.EPIPE:
            self.error = error


@dataclass(slots=True)
class StreamEnd:
    """One end of a link: an open stream pair, and `prefix`, bytes of it that somebody has read already."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    prefix: bytes = b""
    broken: Broken = field(default_factory=Broken)

    @property
    def encrypted(self) -> bool:
        """Return whether the socket's bytes are not the stream's: TLS in the event loop."""
        return self.writer.get_extra_info("ssl_object") is not None

    def dup_socket(self) -> socket.socket:
        """Return a non-blocking duplicate of the socket. OSError when there is none (any more)."""
        sock: Any = self.writer.get_extra_info("socket")
        if sock is None or self.encrypted or self.transport.is_closing():
            raise OSError("the stream is not a plain socket (any more)")
        double: socket.socket = sock.dup()
        double.setblocking(False)
        return double

    def take_buffered(self) -> bytes:
        """Stop the event loop's reading and return every byte that it has read so far, prefix first."""
        taken = bytearray(self.prefix)
        self.prefix = b""
        while data := _read_nowait(self.reader):
            taken += data
        # Last: draining a reader that had paused its transport starts the transport again.
        with contextlib.suppress(RuntimeError):  # closed, or at its end of file
            self.transport.pause_reading()
        return bytes(taken)

    async def flush(self) -> None:
        """Wait until the kernel has every byte written so far. OSError when it will never have them."""
        self.transport.set_write_buffer_limits(high=0)
        await self.writer.drain()

    def reset(self) -> None:
        """Break the connection off, so that its peer takes it for no end of file."""
        if (sock := self.writer.get_extra_info("socket")) is not None:
            reset_on_close(sock)
        self.transport.abort()

    @property
    def transport(self) -> Any:
        """The transport; both pause_reading and set_write_buffer_limits are wanted of it."""
        return self.writer.transport


def _read_nowait(reader: asyncio.StreamReader) -> bytes:
    """Return what a read gives without waiting: buffered bytes, else nothing."""
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
