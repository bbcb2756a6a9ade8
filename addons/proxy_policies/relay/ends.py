"""The two ends of a link, and how a socket is borrowed from the event loop's streams.

A stream pair is asyncio's; the fast ways want the bare socket under it. Rules:

- the pair stays its owner's: we work on a duplicate of its descriptor, and the owner closes the pair afterwards;
- what the reader has already taken in comes first, what the writer has not yet sent has to go before ours;
- one direction needs the reader of one end and the writer of the other, and touches nothing else. So the two
  directions of a link may start at different times.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import Any


class SinkError(OSError):
    """The far side of a direction takes no more bytes; the other direction may still have some to give."""


@dataclass(slots=True)
class End:
    """One end of a link: an open stream pair, and `prefix`, bytes of it that somebody has read already."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    prefix: bytes = b""

    @property
    def encrypted(self) -> bool:
        """Whether the socket's bytes are not the stream's: TLS in the event loop."""
        return self.writer.get_extra_info("ssl_object") is not None

    def borrow(self) -> socket.socket:
        """Return a non-blocking duplicate of the socket. OSError when there is none (any more)."""
        sock: Any = self.writer.get_extra_info("socket")
        if sock is None or self.encrypted:
            raise OSError("the stream is not a plain socket")
        double: socket.socket = sock.dup()
        double.setblocking(False)
        return double

    def take(self) -> bytes:
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
        return b""  # the connection broke: whoever reads its socket next is told
    finally:
        attempt.close()
    return b""
