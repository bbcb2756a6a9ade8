"""When the pieces of a recorded stream are due, and how it ends."""

import asyncio
import time

import pytest

from proxy_policies.capture.model import Body, Headers, Response, Times
from proxy_policies.capture.replay.stream_source import Schedule, StreamSource, TimedPiece, schedule
from proxy_policies.decoding import decode_all

FRAMES = [b"data: one\n\n", b"data: two\n\n"]
TIMES = Times(100.0, 101.0, 102.0, 105.0)
SSE: Headers = (("Content-Type", "text/event-stream"),)


def recorded(cut: str = "", headers: Headers = SSE, times: tuple[float, ...] = (102.0, 104.0)) -> Response:
    return Response(200, "OK", headers, Body(b"".join(FRAMES), cut=cut, frame_times=times))


def test_a_stream_that_is_not_to_be_timed_is_sent_whole() -> None:
    assert schedule(recorded(), TIMES, 0) is None
    assert schedule(recorded(times=()), TIMES, 1) is None


def test_frames_are_due_when_they_came_after_the_request() -> None:
    assert schedule(recorded(), TIMES, 1) == Schedule([TimedPiece(1.0, FRAMES[0]), TimedPiece(3.0, FRAMES[1])])
    assert schedule(recorded(), TIMES, 2) == Schedule([TimedPiece(0.5, FRAMES[0]), TimedPiece(1.5, FRAMES[1])])
    edited = schedule(recorded(times=(104.0,)), TIMES, 1)
    assert edited is not None
    assert [piece.due for piece in edited.pieces] == [3.0, 3.0], "what has no time comes with the last that has"


def test_what_was_broken_off_is_again_even_at_once() -> None:
    assert schedule(recorded("client"), TIMES, 0) == Schedule(
        [TimedPiece(0, FRAMES[0]), TimedPiece(0, FRAMES[1])], "client"
    )
    page = recorded("client", (("Content-Type", "text/html"),))
    assert schedule(page, TIMES, 0) == Schedule([TimedPiece(0, b"".join(FRAMES))], "server"), (
        "nobody waits for more of it"
    )


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "gzip, identity"])
def test_each_frame_can_be_read_when_it_has_come(coding: str) -> None:
    made = schedule(recorded(headers=(*SSE, ("Content-Encoding", coding))), TIMES, 1)
    assert made is not None
    assert len(made.pieces) == 3
    assert decode_all(b"".join(piece.data for piece in made.pieces), coding, 1000) == b"".join(FRAMES)


async def read_all(source: StreamSource) -> list[bytes]:
    found = []
    while piece := await source.read():
        found.append(piece)
    return found


async def test_pieces_come_at_their_times() -> None:
    source = StreamSource(Schedule([TimedPiece(0, b"a"), TimedPiece(0.2, b"b")]), asyncio.Event(), lambda: True)
    began = time.monotonic()
    assert await read_all(source) == [b"a", b"b"]
    assert time.monotonic() - began >= 0.19
    await source.close()


async def test_a_stream_that_its_client_left_stays_open_until_the_replay_ends() -> None:
    over = asyncio.Event()
    source = StreamSource(Schedule([TimedPiece(0, b"a")], "client"), over, lambda: True)
    assert await source.read() == b"a"
    waiting = asyncio.ensure_future(source.read())
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    over.set()
    with pytest.raises(OSError, match="over"):
        await waiting


async def test_a_client_that_has_left_is_not_waited_for() -> None:
    source = StreamSource(Schedule([TimedPiece(3600, b"a")]), asyncio.Event(), lambda: False)
    with pytest.raises(OSError, match="over"):
        await source.read()


async def test_what_the_server_broke_off_raises() -> None:
    source = StreamSource(Schedule([TimedPiece(0, b"a")], "server"), asyncio.Event(), lambda: True)
    assert await source.read() == b"a"
    with pytest.raises(OSError, match="broken off"):
        await source.read()
