"""Frames: how one encrypted connection carries a stream that can be half-closed, and says that it is alive.

    frame = type (1 byte) length (3 bytes, big-endian) payload (length bytes)

    DATA  bytes of the stream, at most 16 MiB - 1; given out in pieces as they come, so a long frame costs no memory
    EOF   the stream ends in this direction (a half-close; TLS in the event loop has none)
    RST   the stream is broken off; the payload says why
    PING  nothing to say, and still here
    BYE   EOF was sent and received: the receiver of BYE may close, for nothing of either stream is under way any more

Types above BYE belong to whoever uses the frames; their payload is bounded and given out whole. A connection that
ends without EOF was cut. Pure: no sockets, no clock.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass

HEAD = 4  # bytes
LONGEST = (1 << 24) - 1  # bytes of payload that the length field can say
LIMIT = 1 << 14  # bytes of any payload but DATA's: a list of a few hundred services fits

type Bytes = bytes | bytearray | memoryview
type Frame = tuple[int, Bytes]


class FrameError(ValueError):
    """The peer's bytes are not frames."""


class Kind(enum.IntEnum):
    """The frame types that every framed connection knows."""

    DATA = 0
    EOF = 1
    RST = 2
    PING = 3
    CLOSE_ACK = 4


def head(kind: int, length: int) -> bytes:
    """Write a frame's head. ValueError for a payload too long to say."""
    if length > LONGEST:
        raise ValueError(f"a frame holds {LONGEST} bytes, not {length}")
    return (kind << 24 | length).to_bytes(HEAD)


def frame(kind: int, payload: bytes = b"") -> bytes:
    """Write a whole frame."""
    return head(kind, len(payload)) + payload


class Parser:
    """Turns bytes, however they are cut, into frames."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._part = bytearray()  # of a head, or of a payload that is given out whole
        self._kind: int | None = None  # of the frame whose payload is awaited
        self._left = 0  # bytes of that payload still to come

    def feed(self, data: Bytes) -> Iterator[Frame]:
        """Return the frames that `data` completes, and DATA as far as it goes. Raises FrameError.

        A DATA payload is a view on `data`: good until the caller uses that buffer again.
        """
        view = memoryview(data)
        while view:
            if self._kind is None:
                view = self._read_head(view)
            elif self._kind == Kind.DATA:
                yield Kind.DATA, view[: self._left]
                view = self._pass(view)
            else:
                view = self._collect(view)
            if self._kind is not None and not self._left:
                yield from self._complete(self._kind)

    def _read_head(self, view: memoryview) -> memoryview:
        missing = HEAD - len(self._part)
        self._part += view[:missing]
        if len(self._part) == HEAD:
            self._kind, self._left = self._part[0], int.from_bytes(self._part[1:])
            self._part.clear()
            if self._kind != Kind.DATA and self._left > self._limit:
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
        if kind != Kind.DATA:
            yield kind, payload


class KeepaliveAction(enum.Enum):
    """What a heart has to do at this moment."""

    REST = enum.auto()
    PING = enum.auto()
    LOST = enum.auto()


@dataclass
class Keepalive:
    """Notices a peer that has fallen silent, and keeps us from seeming so. Times in seconds, of any one clock.

    Each side pings of its own accord, and expects no answer: a peer that has stopped reading (its client has) is not
    a dead one, and still pings.
    """

    interval: float
    timeout: float
    received: float
    sent: float
    looked: float = math.inf
    """When we looked last."""

    def beat(self, now: float, *, received: bool, sent: bool) -> KeepaliveAction:
        """Decide, by whether bytes came and went since the last beat.

        `received` is to be true while the caller does not read: that silence is its own. `sent` is to be true while
        bytes of its own wait to be sent: a ping behind them would reach the peer no sooner. Who has not looked for
        longer than `interval` has stood still himself (a suspended machine, a process that had no time): that is no
        silence of the peer's, who may have waited likewise.
        """
        self.received = now if received else self.received + max(0.0, now - self.looked - self.interval)
        self.looked = now
        self.sent = now if sent else self.sent
        if now - self.received >= self.timeout:
            return KeepaliveAction.LOST
        if now - self.sent >= self.interval:
            self.sent = now
            return KeepaliveAction.PING
        return KeepaliveAction.REST
