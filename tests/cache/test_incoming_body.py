"""A body while it comes: read by many, each at a pace of its own, within bounds."""

import asyncio
import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.cache import incoming_body
from proxy_policies.cache.incoming_body import IncomingBody, IncomingPart, IncomingReader, Room


def body(room: Room | None = None) -> IncomingBody:
    return IncomingBody(room or Room(), lambda: None)


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1), st.data())
def test_a_part_is_what_lies_between_its_positions(pieces: list[bytes], data: st.DataObject) -> None:
    async def parted() -> None:
        whole, coming = b"".join(pieces), body()
        start = data.draw(st.integers(0, len(whole)))
        stop = data.draw(st.integers(start, len(whole)))
        reading = asyncio.create_task(rest_of(IncomingPart(opened(coming), start, stop)))
        for piece in pieces:
            coming.feed(piece)
            await asyncio.sleep(0)
        if stop == len(whole):
            coming.finish()
        assert await reading == whole[start:stop]
        assert not coming.is_read

    asyncio.run(parted())


async def test_for_one_reader_alone_nothing_is_held_that_it_has_read() -> None:
    room = Room()
    coming = body(room)
    before, reader = room.left, coming.open_alone()
    coming.feed(b"one")
    assert (coming.open(), room.left) == (None, before)
    coming.finish()
    assert await rest_of(reader) == b"one"


def opened(of: IncomingBody) -> IncomingReader:
    reader = of.open()
    assert reader is not None
    return reader


async def rest_of(reader: IncomingReader | IncomingPart) -> bytes:
    pieces = []
    while piece := await reader.read():
        pieces.append(piece)
    await reader.close()
    return b"".join(pieces)


@given(st.lists(st.binary(min_size=1, max_size=50)), st.integers(0, 60))
def test_every_reader_gets_every_byte_whenever_it_begins(pieces: list[bytes], held: int) -> None:
    async def run() -> None:
        coming, readers = body(), list[asyncio.Task[bytes]]()
        lagging = opened(coming)
        for piece in pieces:
            readers.append(asyncio.create_task(rest_of(opened(coming))))
            coming.feed(piece)
            await asyncio.sleep(0)
        coming.finish()
        assert set(await asyncio.gather(*readers)) <= {b"".join(pieces)}
        assert await rest_of(lagging) == b"".join(pieces)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(incoming_body, "MAX_HELD", held)
        asyncio.run(run())


async def test_a_body_that_breaks_off_is_complete_for_no_reader() -> None:
    coming = body()
    reader = opened(coming)
    coming.feed(b"half")
    assert await reader.read() == b"half"
    coming.abort()
    with pytest.raises(OSError, match="broke off"):
        await reader.read()
    assert coming.open() is None


async def test_data_without_readers_is_not_kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming_body, "MAX_HELD", 1000)
    room = Room(10_000)
    coming = body(room)
    for _ in range(20):
        coming.feed(bytes(100))
    assert coming.open() is None
    assert room.left == 10_000


async def test_all_bodies_together_are_bounded() -> None:
    room = Room(1000)
    one, other = body(room), body(room)
    one.feed(bytes(900))
    other.feed(bytes(200))
    assert other.open() is None
    assert one.open() is not None
    one.finish()
    assert room.left == 1000


async def test_who_is_far_behind_reads_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming_body, "MAX_HELD", 1000)
    coming, sent = body(), os.urandom(50_000)
    slow, newcomer_at = opened(coming), 30_000
    for at in range(0, len(sent), 100):
        if at == newcomer_at:
            newcomer = opened(coming)
        coming.feed(sent[at : at + 100])
    coming.finish()
    assert await rest_of(slow) == sent
    assert await rest_of(newcomer) == sent


@pytest.mark.parametrize("reason", ["bound", "disk full"])
async def test_only_a_reader_that_is_too_slow_is_broken_off(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming_body, "MAX_HELD", 1000)
    if reason == "bound":
        monkeypatch.setattr(incoming_body, "MAX_SPOOLED", 2000)
    else:
        written = itertools.count()
        genuine = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda fd, data, at: genuine(fd, data, at) if next(written) < 3 else 0)
    coming = body()
    slow, quick = opened(coming), asyncio.create_task(rest_of(opened(coming)))
    for _ in range(100):
        coming.feed(bytes(100))
        await asyncio.sleep(0)
    coming.finish()
    assert await quick == bytes(10_000)
    with pytest.raises(OSError, match="too slowly"):
        await rest_of(slow)
    assert coming.open() is None
