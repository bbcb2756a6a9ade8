"""Frames: they carry a stream with half-close, and keepalives, over one encrypted connection.

    frame = type (1 byte) length (3 bytes, big-endian) payload (length bytes)

    DATA       bytes of the stream, at most 16 MiB - 1; returned in the pieces received, so a long frame takes no memory
    EOF        the stream ends in this direction (a half-close; TLS in the event loop has none)
    RST        the stream is reset; the payload is the reason
    PING       a keepalive
    CLOSE_ACK  EOF was sent and received: the receiver may close, as no data of either stream is on its way

Types above CLOSE_ACK are for the users of frames; their payload is bounded and returned whole. A connection that ends
without EOF was cut off. Pure.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass

HEADER_SIZE = 4  # bytes
MAX_LENGTH = (1 << 24) - 1  # bytes of payload, limited by the length field
MAX_CONTROL_PAYLOAD = 1 << 14  # bytes of payloads other than DATA's: enough for a list of a few hundred services

type Bytes = bytes | bytearray | memoryview
type Frame = tuple[int, Bytes]


class FrameError(ValueError):
    """The peer's bytes are not frames."""


class FrameKind(enum.IntEnum):
    """The frame types that every framed connection knows."""

    DATA = 0
    EOF = 1
    RST = 2
    PING = 3
    CLOSE_ACK = 4


def frame_header(kind: int, length: int) -> bytes:
    """Return a frame's head. Raise ValueError if the payload is too long."""
    if length > MAX_LENGTH:
        raise ValueError(f"a frame holds {MAX_LENGTH} bytes, not {length}")
    return (kind << 24 | length).to_bytes(HEADER_SIZE)


def frame(kind: int, payload: bytes = b"") -> bytes:
    """Return a whole frame."""
    return frame_header(kind, len(payload)) + payload


class Parser:
    """Parses frames from bytes in pieces of any size."""

    def __init__(self, limit: int = MAX_CONTROL_PAYLOAD) -> None:
        self._limit = limit
        self._part = bytearray()  # of a head, or of a payload that is returned whole
        self._kind: int | None = None  # of the frame whose payload is awaited
        self._left = 0  # bytes of that payload still to come

    def feed(self, data: Bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes, and parts of DATA. Raise FrameError.

        A DATA payload is a view of `data`, valid until the caller reuses that buffer.
        """
        view = memoryview(data)
        while view:
            if self._kind is None:
                view = self._read_head(view)
            elif self._kind == FrameKind.DATA:
                yield FrameKind.DATA, view[: self._left]
                view = self._pass(view)
            else:
                view = self._collect(view)
            if self._kind is not None and not self._left:
                yield from self._complete(self._kind)

    def _read_head(self, view: memoryview) -> memoryview:
        missing = HEADER_SIZE - len(self._part)
        self._part += view[:missing]
        if len(self._part) == HEADER_SIZE:
            self._kind, self._left = self._part[0], int.from_bytes(self._part[1:])
            self._part.clear()
            if self._kind != FrameKind.DATA and self._left > self._limit:
                raise FrameError(f"frame of type {self._kind} announces {self._left} bytes; {self._limit} are allowed")
        return view[missing:]

    def _pass(self, view: memoryview) -> memoryview:
        passed = min(self._left, len(view))
        self._left -= passed
        return view[passed:]

    def _collect(self, view: memoryview) -> memoryview:
        self._part += view[: self._left]
        return self._pass(view)

    def _complete(self, kind: int) -> Iterator[Frame]:
        payload = bytes(self._part)
        self._part.clear()
        self._kind = None
        if kind != FrameKind.DATA:
            yield kind, payload


class KeepaliveAction(enum.Enum):
    """What a keepalive has to do now."""

    NONE = enum.auto()
    PING = enum.auto()
    LOST = enum.auto()


@dataclass
class Keepalive:
    """Detects a silent peer, and sends pings so that we are not silent. Times are in seconds of any one clock.

    Each side sends pings without expecting an answer: a peer that has stopped reading, because its client has, still
    pings.
    """

    interval: float
    timeout: float
    received: float
    sent: float
    checked: float = math.inf
    """The time of the last check."""

    def check(self, now: float, *, received: bool, sent: bool) -> KeepaliveAction:
        """Return what to do, given whether bytes were received and sent since the last call.

        `received` must be True while the caller does not read, unless the peer's system is silent, too. `sent` must be
        True while bytes wait to be sent, as a ping would wait behind them. If the last call was longer ago than
        `interval`, this process was suspended or starved, and the time does not count as silence of the peer.
        """
        self.received = now if received else self.received + max(0.0, now - self.checked - self.interval)
        self.checked = now
        self.sent = now if sent else self.sent
        if now - self.received >= self.timeout:
            return KeepaliveAction.LOST
        if now - self.sent >= self.interval:
            self.sent = now
            return KeepaliveAction.PING
        return KeepaliveAction.NONE
