"""The body of a recorded answer, sent as it came: each frame at its time, and broken off where it was."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy_policies.capture.content_coding import to_wire
from proxy_policies.capture.model import Response, Times, header
from proxy_policies.capture.streams.arrivals import pieces
from proxy_policies.capture.streams.frames import declared_framing
from proxy_policies.decoding import codings_of
from proxy_policies.encoding.codecs import CODECS, Encoder, encoder

LOOK = 1.0
"""Seconds between looks whether a client that is sent nothing is still there."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a body, and when it is due, seconds after the answer began."""

    due: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Schedule:
    """A body in its pieces. `cut` says who broke it off: `server` does so again, `client` leaves it open."""

    pieces: Sequence[Piece]
    cut: str = ""


def schedule(response: Response, times: Times, speed: float) -> Schedule | None:
    """Return how to send a recorded body at `speed` (2: twice as fast, 0: at once); None to send it whole, at once."""
    body = response.body
    is_timed = bool(speed and body.frame_times)
    if not is_timed and not body.cut:
        return None
    content_type = header(response.headers, "content-type") or ""
    cut = "server" if body.cut and declared_framing(content_type) is None else body.cut
    encoders = _encoders(response)
    if encoders is None:
        whole = to_wire(body, response.headers)
        return Schedule([Piece(_due(body.frame_times, -1, times, speed), whole)] if whole else [], cut)
    made = [
        Piece(_due(body.frame_times, number, times, speed), _encoded(encoders, piece))
        for number, piece in enumerate(pieces(body.content, content_type))
    ]
    if made and not cut:
        made.append(Piece(made[-1].due, _finished(encoders)))
    return Schedule([piece for piece in made if piece.data], cut)


def _due(frame_times: Sequence[float], number: int, times: Times, speed: float) -> float:
    """Return when a frame is due; what has no time of its own comes with the last one that has."""
    if not speed or not frame_times:
        return 0.0
    moment = frame_times[min(number, len(frame_times) - 1)]
    return max(0.0, moment - (times.request_end or times.request_start)) / speed


def _encoders(response: Response) -> list[Encoder] | None:
    """Return what applies the content codings anew, frame by frame; None when one of them is not ours to make."""
    names = [name for name in codings_of(header(response.headers, "content-encoding")) if name != "identity"]
    return [encoder(name) for name in names] if all(name in CODECS for name in names) else None


def _encoded(encoders: Sequence[Encoder], data: bytes) -> bytes:
    for made in encoders:
        data = made.feed(data) + made.flush()
    return data


def _finished(encoders: Sequence[Encoder]) -> bytes:
    data = b""
    for made in encoders:
        data = (made.feed(data) if data else b"") + made.finish()
    return data


class StreamSource:
    """Gives a body as scheduled, from now on. `over` ends it; `is_wanted` tells whether its client is still there."""

    def __init__(self, body: Schedule, over: asyncio.Event, is_wanted: Callable[[], bool]) -> None:
        self._pieces = deque(body.pieces)
        self._cut = body.cut
        self._over = over
        self._is_wanted = is_wanted
        self._began = asyncio.get_running_loop().time()

    async def read(self) -> bytes:
        """Return the next piece once it is due, b"" at the end. Raises OSError where the body was broken off.

        Each by itself, for one is a chunk of HTTP/1.1 then, and clients tell one from the next by that.
        """
        if self._pieces:
            await self._wait(self._began + self._pieces[0].due)
            return self._pieces.popleft().data
        if self._cut == "client":
            await self._wait(None)
        if self._cut:
            raise OSError("it was broken off when it was recorded")
        return b""

    async def _wait(self, until: float | None) -> None:
        """Wait until a time of the loop's, None for ever. Raises OSError when the replay ends or the client leaves."""
        loop = asyncio.get_running_loop()
        while until is None or loop.time() < until:
            seconds = LOOK if until is None else min(LOOK, until - loop.time())
            await asyncio.wait({waiting := asyncio.ensure_future(self._over.wait())}, timeout=max(0.0, seconds))
            waiting.cancel()
            if self._over.is_set() or not self._is_wanted():
                raise OSError("the replay is over")

    async def close(self) -> None:
        """Let go of it."""
        self._pieces.clear()
