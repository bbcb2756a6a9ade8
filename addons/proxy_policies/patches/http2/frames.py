"""Counts HTTP/2 frames that cause work without carrying anything (RFC 9113, section 10.5). Pure.

Only the nine-byte header of each frame is read (section 4.1), before the frame is processed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

PREFACE = 24  # bytes before a client's first frame (section 3.4)
HEAD = 9

RESETS, RESET_RATE = 200, 200 / 30
"""Resets allowed in a burst, and per second: Netty's and gRPC's 200 in 30 s, after CVE-2023-44487 and CVE-2025-8671."""
IDLE_FRAMES, IDLE_RATE = 1000, 33.0
"""Frames that carry nothing, in a burst and per second: nghttp2's limit on "glitches"."""
CREDIT = 1024  # message bytes, in either direction, per such frame: Go sends a quarter as many window updates
FOR_HEADERS = 2  # such frames per new stream: browsers used to send PRIORITY and WINDOW_UPDATE with each
BLOCK_LIMIT = 256 * 1024
"""Most bytes of an encoded field block (section 4.3), kept until it is complete: those of a response's head."""
PER_PORTION = 16  # frames handled in one turn of the event loop: that many requests take some 10 ms


class Type(IntEnum):
    """The frame types that are treated differently here (section 6)."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    CONTINUATION = 9


@dataclass(frozen=True, slots=True)
class Http2Frame:
    """A frame's header fields, and the offset at which the header ends in the bytes read."""

    type: int
    flags: int
    length: int
    """Bytes of payload after the header."""
    head_end: int


class FrameReader:
    """Finds the frames in one direction of a connection, however its bytes are split."""

    def __init__(self, preface: int = 0) -> None:
        self._skip = preface
        self._head = b""
        self._is_in_block = False

    @property
    def awaits_more(self) -> bool:
        """Return whether the preface, a frame, or a field block (section 4.3) is incomplete."""
        return bool(self._skip or self._head or self._is_in_block)

    def read(self, data: bytes) -> Iterator[Http2Frame]:
        """Yield the frames whose headers end in `data`."""
        at = 0
        while at < len(data):
            if self._skip:
                skipped = min(self._skip, len(data) - at)
                self._skip -= skipped
                at += skipped
                continue
            taken = data[at : at + HEAD - len(self._head)]
            self._head += taken
            at += len(taken)
            if len(self._head) == HEAD:
                head, self._head = self._head, b""
                self._skip = int.from_bytes(head[:3])
                if head[3] in (Type.HEADERS, Type.CONTINUATION):
                    self._is_in_block = not head[4] & 4  # END_HEADERS
                yield Http2Frame(head[3], head[4], self._skip, at)


class FrameBudget:
    """How many frames without content a peer may still send; `now` is in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._resets = TokenBucket(RESETS, RESET_RATE)
        self._idle = TokenBucket(IDLE_FRAMES, IDLE_RATE)
        self._block = 0
        """Bytes of the latest field block."""

    def spend(self, frame: Http2Frame, now: float) -> str:
        """Account for a frame from the peer; return "" or which limit was exceeded."""
        if frame.type in (Type.HEADERS, Type.CONTINUATION):
            self._block = frame.length + (self._block if frame.type == Type.CONTINUATION else 0)
            if self._block > BLOCK_LIMIT:
                return "a field block is too long"
        match frame.type:
            case Type.DATA if frame.length:
                self.earn(frame.length)
                return ""
            case Type.DATA if frame.flags & 1:  # END_STREAM
                return ""
            case Type.HEADERS:
                self._idle.put(FOR_HEADERS)
                return ""
            case Type.RST_STREAM:
                return self.reset(now)
        cost = max(1, frame.length // 6) if frame.type == Type.SETTINGS else 1  # six bytes a setting
        return "" if self._idle.take(cost, now) else "too many frames that carry nothing"

    def reset(self, now: float) -> str:
        """Account for a stream reset by the peer, or because of it; return "" or which limit was exceeded."""
        return "" if self._resets.take(1, now) else "too many streams were reset"

    def earn(self, size: int) -> None:
        """Account for message bytes received or sent."""
        self._idle.put(size / CREDIT)


class TokenBucket:
    """Holds up to `burst` tokens, and gains `rate` per second."""

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._tokens = burst
        self._at: float | None = None

    def take(self, count: float, now: float) -> bool:
        """Take tokens at `now`, in seconds; return False, taking none, if there are too few."""
        self._refill(now)
        if self._tokens < count:
            return False
        self._tokens -= count
        return True

    def put(self, count: float) -> None:
        """Add tokens."""
        self._tokens = min(self._burst, self._tokens + count)

    def _refill(self, now: float) -> None:
        if self._at is not None:
            self.put(max(0.0, now - self._at) * self._rate)
        self._at = now
