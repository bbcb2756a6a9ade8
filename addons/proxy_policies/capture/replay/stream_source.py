"""The body of a recorded stream, sent as it was received: each frame in its time, and broken off where it was."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy_policies.capture.bodies.content_coding import to_wire
from proxy_policies.capture.model import Response, Times, header
from proxy_policies.capture.streams.arrivals import pieces
from proxy_policies.capture.streams.frames import declared_framing
from proxy_policies.decoding import codings_of
from proxy_policies.encoding.codecs import CODECS, Encoder, encoder

POLL_INTERVAL = 1.0
"""Seconds between checks whether an idle client is still connected."""


@dataclass(frozen=True, slots=True)
class TimedPiece:
    """A part of a body, and when it is due, in seconds after the start of the response."""

    due: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Schedule:
    """A body in pieces. `cut` says who broke it off: if `server`, it is broken off again; if `client`, left open."""

    pieces: Sequence[TimedPiece]
    cut: str = ""


def schedule(response: Response, times: Times, speed: float) -> Schedule | None:
    """Return how to send a recorded body at `speed` (2: twice as fast, 0: without pauses); None to send it at once."""
    body = response.body
    is_timed = bool(speed and body.frame_times)
    if not is_timed and not body.cut:
        return None
    content_type = header(response.headers, "content-type") or ""
    cut = "server" if body.cut and declared_framing(content_type) is None else body.cut
    encoders = _encoders(response)
    if encoders is None:
        whole = to_wire(body, response.headers)
        return Schedule([TimedPiece(_due(body.frame_times, -1, times, speed), whole)] if whole else [], cut)
    encoded = [
        TimedPiece(_due(body.frame_times, number, times, speed), _encode(encoders, piece))
        for number, piece in enumerate(pieces(body.content, content_type))
    ]
    if encoded and not cut:
        encoded.append(TimedPiece(encoded[-1].due, _finish(encoders)))
    return Schedule([piece for piece in encoded if piece.data], cut)


def _due(frame_times: Sequence[float], number: int, times: Times, speed: float) -> float:
    """Return when a frame is due, in seconds; one without a time is due with the last one that has one."""
    if not speed or not frame_times:
        return 0.0
    moment = frame_times[min(number, len(frame_times) - 1)]
    return max(0.0, moment - (times.request_end or times.request_start)) / speed


def _encoders(response: Response) -> list[Encoder] | None:
    """Return encoders for the content codings; None if one of the codings is not supported."""
    names = [name for name in codings_of(header(response.headers, "content-encoding")) if name != "identity"]
    return [encoder(name) for name in names] if all(name in CODECS for name in names) else None


def _encode(encoders: Sequence[Encoder], data: bytes) -> bytes:
    for coder in encoders:
        data = coder.feed(data) + coder.flush()
    return data


def _finish(encoders: Sequence[Encoder]) -> bytes:
    data = b""
    for coder in encoders:
        data = (coder.feed(data) if data else b"") + coder.finish()
    return data


class StreamSource:
    """Returns a body as scheduled, from now; the event `stopped` ends it, as does `is_connected` once it is false."""

    def __init__(self, body: Schedule, stopped: asyncio.Event, is_connected: Callable[[], bool]) -> None:
        self._pieces = deque(body.pieces)
        self._cut = body.cut
        self._stopped = stopped
        self._is_connected = is_connected
        self._start = asyncio.get_running_loop().time()

    async def read(self) -> bytes:
        """Return the next piece once it is due, b"" at the end. Raise OSError where the body was broken off.

        Pieces are not joined: each becomes a chunk of HTTP/1.1, and some clients take chunks for messages.
        """
        if self._pieces:
            await self._wait(self._start + self._pieces[0].due)
            return self._pieces.popleft().data
        if self._cut == "client":
            await self._wait(None)
        if self._cut:
            raise OSError("it was broken off when it was recorded")
        return b""

    async def _wait(self, until: float | None) -> None:
        """Wait until a time of the loop, or for ever. Raise OSError if the replay ends, or the client disconnects."""
        loop = asyncio.get_running_loop()
        while until is None or loop.time() < until:
            seconds = POLL_INTERVAL if until is None else min(POLL_INTERVAL, until - loop.time())
            await asyncio.wait({waiting := asyncio.ensure_future(self._stopped.wait())}, timeout=max(0.0, seconds))
            waiting.cancel()
            if self._stopped.is_set() or not self._is_connected():
                raise OSError("the replay is over")

    async def close(self) -> None:
        """Release the pieces."""
        self._pieces.clear()
