"""Pipelines: the transforms and taps of a message body, chained in order.

A streamed body passes through its pipeline in chunks, a buffered one as a whole; transforms need not know which.
`streaming.py` decides.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Protocol, cast

logger = logging.getLogger(__name__)

CHUNK = 64 * 1024
"""The largest number of bytes passed to a transform at once, so that a call takes under 2 ms."""
PREVIEW_LIMIT = 256 * 1024
"""Bytes of a streamed body that are kept for viewing."""


class Stage(IntEnum):
    """Positions in the pipeline, from a body's sender to its receiver."""

    ORIGIN = 0
    CACHE = 1
    SCRIPT = 2
    """Where scripts act: parts before it see the origin's body, later ones the client's."""
    ENCODER = 3
    VARIANT = 4
    CLIENT = 5
    PREVIEW = 6


class Transform(Protocol):
    """Changes a body as it passes."""

    def feed(self, data: bytes) -> bytes:
        """Process a chunk of at most 64 KiB, and return the bytes that can already be passed on."""

    def finish(self) -> bytes:
        """Return the remaining output: the body is complete."""


class Buffering(Transform, Protocol):
    """A transform that holds back data until it has more."""

    holds_back: bool
    """Some input has not been returned yet."""

    def flush(self) -> bytes:
        """Return held-back data, because no more is expected for a while."""


class StreamCallable:
    """A `.stream` set by a script: returns bytes or an iterable of them for each chunk, and for b"" at the end."""

    def __init__(self, callable: Callable[[bytes], bytes | Iterable[bytes]]) -> None:
        self._callable = callable

    def chunks(self, data: bytes) -> Iterable[bytes]:
        """Return the script's output for a chunk, lazily."""
        given = self._callable(data)
        return (given,) if isinstance(given, bytes) else given


class Replace:
    """The transform that replaces a body with another."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def feed(self, data: bytes) -> bytes:
        """Drop the data."""
        return b""

    def finish(self) -> bytes:
        """Return the new body."""
        return self._body


class Tap(Protocol):
    """Watches a body as it passes."""

    def feed(self, data: bytes) -> None:
        """Receive a chunk."""

    def finish(self) -> None:
        """Finish: the body is complete."""

    def abort(self) -> None:
        """Abort: the body was cut off, and no more of it will arrive."""


class Pipeline:
    """The transforms and taps of one body, in stage order; within a stage, in the order they were added."""

    __slots__ = ("_finished", "_stages")

    def __init__(self) -> None:
        self._stages: list[tuple[Stage, Part]] = []
        self._finished = False

    def __bool__(self) -> bool:
        return bool(self._stages)

    @property
    def is_finished(self) -> bool:
        """Return whether the body has ended or was aborted."""
        return self._finished

    @property
    def transforms(self) -> bool:
        """Return whether one of our transforms will change the body."""
        return any(not isinstance(part, (_TapAdapter, StreamCallable)) for part in self._parts())

    @property
    def is_scripted(self) -> bool:
        """Return whether the body passes through a script's own stream."""
        return any(isinstance(part, StreamCallable) for part in self._parts())

    @property
    def holds_back(self) -> bool:
        """Return whether any part holds back data."""
        return any(map(_holds_back, self._parts()))

    def add(self, stage: Stage, transform: "Transform | StreamCallable") -> None:
        """Add a transform to the pipeline."""
        self._insert(stage, transform)

    def tap(self, stage: Stage, tap: Tap) -> None:
        """Add a tap to the pipeline. A tap that raises is logged, aborted and dropped; the body is not affected."""
        self._insert(stage, _TapAdapter(tap))

    def _insert(self, stage: Stage, part: "Part") -> None:
        at = len(self._stages)
        while at and self._stages[at - 1][0] > stage:
            at -= 1
        self._stages.insert(at, (stage, part))

    def _parts(self) -> "list[Part]":
        return [part for _, part in self._stages]

    def stream(self, data: bytes) -> Iterable[bytes]:
        """Act as mitmproxy's `.stream`: called with chunks, then once with b"". Script output is generated lazily.

        Never yields an empty chunk, which mitmproxy would send as the last one.
        """
        if self.is_scripted:
            return self._passed(data) if data else _ended(self._take())
        if data:
            return list(self._passed(data))
        return [tail] if (tail := self.finish()) else []

    def _passed(self, data: bytes) -> Iterator[bytes]:
        parts = self._parts()
        for piece in _pieces(data):
            yield from _passed(parts, piece)

    def flush(self) -> Iterator[bytes]:
        """Return the data that transforms hold back."""
        parts = self._parts()
        for at, part in enumerate(parts):
            if _holds_back(part):
                yield from _passed(parts[at + 1 :], cast(Buffering, part).flush())

    def finish(self) -> bytes:
        """End the body and return held-back data. Ends it once; later calls return b""."""
        return b"".join(_ended(self._take()))

    def abort(self) -> None:
        """Abort every tap: the body was cut off. Does nothing once it is complete."""
        for part in self._take():
            if isinstance(part, _TapAdapter):
                part.abort()

    def pass_taps(self, body: bytes, before: Stage | None = None) -> bool:
        """Pass a whole body to the parts before a stage if they are all taps; else do nothing and return False."""
        for stage, part in self._stages:
            if part.__class__ is not _TapAdapter and (before is None or stage < before):
                return False
        for part in self._take(before):
            cast(_TapAdapter, part).pass_whole(body)
        return True

    async def run(self, body: bytes, before: Stage | None = None) -> bytes:
        """Send a whole body through the pipeline, or only through the parts before a stage.

        Transforms of large bodies run in a thread; taps and scripts stay in the event loop.
        """
        for part in self._take(before):
            if isinstance(part, (_TapAdapter, StreamCallable)) or len(body) <= CHUNK // 2:
                body = _whole(part, body)
            else:
                body = await asyncio.to_thread(_whole, part, body)
        return body

    def _take(self, before: Stage | None = None) -> "list[Part]":
        """Remove and return parts, so that encoders are freed before the flow; with none left it is finished."""
        if before is None:
            taken, self._stages, self._finished = self._parts(), [], True
        else:
            taken = [part for stage, part in self._stages if stage < before]
            self._stages = self._stages[len(taken) :]
        return taken


def _pieces(data: bytes) -> Iterable[bytes]:
    if len(data) <= CHUNK:
        return (data,) if data else ()
    view = memoryview(data)
    return (bytes(view[at : at + CHUNK]) for at in range(0, len(data), CHUNK))


def _passed(parts: "Sequence[Part]", data: bytes) -> Iterator[bytes]:
    """Send a chunk through some parts, each of which gets at most 64 KiB at once, except those after a transform."""
    for at, part in enumerate(parts):
        if isinstance(part, StreamCallable):
            for chunk in part.chunks(data):
                for piece in _pieces(chunk):
                    yield from _passed(parts[at + 1 :], piece)
            return
        data = part.feed(data)
        if not data:
            return
    if data:
        yield data


def _ended(parts: "Sequence[Part]") -> Iterator[bytes]:
    """Finish one part after the other, passing the remaining output of each through the parts after it."""
    for at, part in enumerate(parts):
        for tail in part.chunks(b"") if isinstance(part, StreamCallable) else (part.finish(),):
            if tail:
                yield from _passed(parts[at + 1 :], tail)


def _holds_back(part: "Part") -> bool:
    return bool(getattr(part, "holds_back", False))


def _whole(part: "Part", body: bytes) -> bytes:
    if isinstance(part, _TapAdapter):
        part.pass_whole(body)
        return body
    return b"".join([*(out for piece in _pieces(body) for out in _passed((part,), piece)), *_ended((part,))])


class _TapAdapter:
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

    def pass_whole(self, body: bytes) -> None:
        if self._tap is not None:
            try:
                for piece in _pieces(body):
                    self._tap.feed(piece)
                self._tap.finish()
            except Exception:
                self._drop()

    def abort(self) -> None:
        if self._tap is not None:
            try:
                self._tap.abort()
            except Exception:
                logger.exception("a body's tap failed")

    def _drop(self) -> None:
        logger.exception("a body's tap failed; continuing without it")
        self.abort()
        self._tap = None


type Part = Transform | StreamCallable | _TapAdapter


class Preview:
    """Keeps the first `limit` bytes of a streamed body for viewing."""

    __slots__ = ("_limit", "kept", "size", "whole")

    def __init__(self, limit: int = PREVIEW_LIMIT) -> None:
        self._limit = limit
        self.kept = bytearray()
        self.size = 0
        self.whole = False

    def feed(self, data: bytes) -> None:
        """Keep what fits."""
        self.size += len(data)
        if len(self.kept) < self._limit:
            self.kept += data[: self._limit - len(self.kept)]

    def finish(self) -> None:
        """Finish: the body is complete."""
        self.whole = self.size == len(self.kept)

    def abort(self) -> None:
        """Keep the bytes so far."""
