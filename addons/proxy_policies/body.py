"""Pipelines: the transforms and taps of a message body, chained in their order.

A body goes through its pipeline in chunks while it streams, or whole when it
was buffered; a transform cannot tell which. `streaming.py` decides which.
"""

import asyncio
import logging
from collections.abc import Iterator
from enum import IntEnum
from typing import Protocol

logger = logging.getLogger(__name__)

CHUNK = 64 * 1024
"""The most a transform gets at once, bytes: what it does to them stays under 2 ms."""
PREVIEW_LIMIT = 256 * 1024
"""How many bytes of a streamed body are kept to be looked at."""


class Stage(IntEnum):
    """Where in the pipeline, from the sender of a body to its receiver."""

    ORIGIN = 0
    CACHE = 1
    ENCODER = 2
    VARIANT = 3
    CLIENT = 4
    PREVIEW = 5


class Transform(Protocol):
    """Changes a body as it passes."""

    def feed(self, data: bytes) -> bytes:
        """Take a chunk of at most 64 KiB and give what can be passed on already."""

    def finish(self) -> bytes:
        """Give the rest: the body came whole."""


class Replace:
    """The transform that sends another body in place of the one that comes."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def feed(self, data: bytes) -> bytes:
        """Drop what came."""
        return b""

    def finish(self) -> bytes:
        """Give the other body."""
        return self._body


class Tap(Protocol):
    """Watches a body as it passes."""

    def feed(self, data: bytes) -> None:
        """See a chunk."""

    def finish(self) -> None:
        """Learn that the body came whole."""

    def abort(self) -> None:
        """Learn that the rest will never come."""


class Pipeline:
    """The transforms and taps of one body, in stage order; within a stage, in the order they were added."""

    __slots__ = ("_over", "_stages")

    def __init__(self) -> None:
        self._stages: list[tuple[Stage, Transform | _Watched]] = []
        self._over = False

    def __bool__(self) -> bool:
        return bool(self._stages)

    @property
    def is_over(self) -> bool:
        """Say whether the body has come to its end, or to none."""
        return self._over

    @property
    def transforms(self) -> bool:
        """Say whether the body will change."""
        return any(not isinstance(part, _Watched) for _, part in self._stages)

    def add(self, stage: Stage, transform: Transform) -> None:
        """Put a transform into the pipeline."""
        self._insert(stage, transform)

    def tap(self, stage: Stage, tap: Tap) -> None:
        """Put a tap into the pipeline. One that raises is logged, aborted and left out; the body goes on."""
        self._insert(stage, _Watched(tap))

    def _insert(self, stage: Stage, part: "Transform | _Watched") -> None:
        self._stages.append((stage, part))
        self._stages.sort(key=lambda staged: staged[0])

    def stream(self, data: bytes) -> list[bytes]:
        """Be mitmproxy's `.stream`: chunks, then b"" once at the end.

        Never gives an empty chunk, which mitmproxy would send as the last one.
        """
        if not data:
            return [tail] if (tail := self.finish()) else []
        pieces = (data,) if len(data) <= CHUNK else _pieces(data)
        return [out for piece in pieces if (out := self.feed(piece))]

    def feed(self, data: bytes) -> bytes:
        """Send one chunk of at most 64 KiB through."""
        for _, part in self._stages:
            if data:
                data = part.feed(data)
        return data

    def finish(self) -> bytes:
        """End the body and give what the transforms held back. Ends once; later calls give nothing."""
        if self._over:
            return b""
        tail = b""
        for part in self._end():
            tail = (part.feed(tail) if tail else b"") + part.finish()
        return tail

    def abort(self) -> None:
        """Tell every tap that the body will not come whole. Does nothing once it has."""
        for part in self._end():
            if isinstance(part, _Watched):
                part.abort()

    async def run(self, body: bytes) -> bytes:
        """Send a whole body through. What takes long is done in a thread; taps stay in the event loop."""
        for part in self._end():
            if isinstance(part, _Watched) or len(body) <= CHUNK // 2:
                body = _through(part, body)
            else:
                body = await asyncio.to_thread(_through, part, body)
        return body

    def _end(self) -> list["Transform | _Watched"]:
        """Be over, and give the parts away: an encoder has megabytes, and the flow may be kept for long."""
        parts = [part for _, part in self._stages]
        self._over = True
        self._stages = []
        return parts


def _pieces(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    return (bytes(view[at : at + CHUNK]) for at in range(0, len(data), CHUNK))


def _through(part: "Transform | _Watched", body: bytes) -> bytes:
    return b"".join(part.feed(piece) for piece in _pieces(body)) + part.finish()


class _Watched:
    """A tap as a transform that changes nothing."""

    __slots__ = ("_tap",)

    def __init__(self, tap: Tap) -> None:
        self._tap: Tap | None = tap

    def feed(self, data: bytes) -> bytes:
        if self._tap is not None:
            try:
                self._tap.feed(data)
            except Exception:
                self._drop()
        return data

    def finish(self) -> bytes:
        if self._tap is not None:
            try:
                self._tap.finish()
            except Exception:
                self._drop()
        return b""

    def abort(self) -> None:
        if self._tap is not None:
            try:
                self._tap.abort()
            except Exception:
                logger.exception("a body's tap failed")

    def _drop(self) -> None:
        logger.exception("a body's tap failed; the body goes on without it")
        self.abort()
        self._tap = None


class Preview:
    """Keeps the beginning of a streamed body to be looked at."""

    __slots__ = ("kept", "size", "whole")

    def __init__(self) -> None:
        self.kept = bytearray()
        self.size = 0
        self.whole = False

    def feed(self, data: bytes) -> None:
        """Keep what fits."""
        self.size += len(data)
        if len(self.kept) < PREVIEW_LIMIT:
            self.kept += data[: PREVIEW_LIMIT - len(self.kept)]

    def finish(self) -> None:
        """Learn that this was all."""
        self.whole = self.size == len(self.kept)

    def abort(self) -> None:
        """Keep what there is."""
