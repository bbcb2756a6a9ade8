"""A connection of mitmproxy's is read by one of two, and every byte comes once and in order."""

import asyncio
import random
import socket

import pytest
from tests.support.sockets import tcp_pair

from proxy_policies.connection.borrowed_socket import BorrowedSocket
from proxy_policies.connection.tunnel_takeover import TakeoverReader


async def watched() -> tuple[TakeoverReader, socket.socket]:
    ours, peer = tcp_pair()
    reader, writer = await asyncio.open_connection(sock=ours)
    return TakeoverReader(reader, writer), peer


@pytest.mark.parametrize("seed", range(20))
async def test_every_byte_comes_once(seed: int) -> None:
    """For each reader, however often it changes."""
    dice = random.Random(seed)
    reader, peer = await watched()
    sent, got = dice.randbytes(300_000), bytearray()

    async def read() -> None:
        while data := await reader.read(dice.choice((10, 1000, 65536))):
            got.extend(data)
            await asyncio.sleep(0)

    reading = asyncio.create_task(read())
    sending = asyncio.create_task(asyncio.to_thread(peer.sendall, sent))
    for _ in range(10):
        await asyncio.sleep(dice.choice((0, 0.001)))
        borrowed = BorrowedSocket(reader, None)
        await borrowed.flush()
        stream = borrowed.begin()
        for _ in range(dice.randrange(3)):
            if len(got) + len(stream.received) < len(sent):
                await stream.wait(0.05)
        await asyncio.sleep(0)
        got.extend(stream.take())
        borrowed.give_back()
    await sending
    peer.shutdown(socket.SHUT_WR)
    await asyncio.wait_for(reading, 100)
    assert bytes(got) == sent
    reader.end.writer.close()
    peer.close()


async def test_what_was_said_comes_first() -> None:
    reader, peer = await watched()
    peer.sendall(b"later")
    borrowed = BorrowedSocket(reader, None)
    stream = borrowed.begin(b"first, ")
    while len(stream.received) < 12:
        assert await stream.wait()
    assert stream.take() == b"first, later"
    stream.write(b"an answer")
    assert await asyncio.to_thread(peer.recv, 100) == b"an answer"
    borrowed.give_back()
    reader.end.writer.close()
    peer.close()


async def test_a_connection_that_has_gone() -> None:
    reader, peer = await watched()
    reader.end.writer.close()
    with pytest.raises(OSError, match="plain socket"):
        BorrowedSocket(reader, None).begin()
    peer.close()


async def test_more_than_a_reader_keeps_is_on_its_way() -> None:
    """Then the reader has stopped its transport, and would start it again while we read the same socket."""
    reader, peer = await watched()
    reading = asyncio.create_task(reader.read(65536))
    await asyncio.sleep(0)
    reader.end.reader.feed_data(b"1" * 200_000)  # as the transport does, in a turn before the task's
    borrowed = BorrowedSocket(reader, None)
    stream = borrowed.begin()
    stream.start_reading()
    for _ in range(10):  # turns
        await asyncio.sleep(0)
    assert len(stream.received) == 200_000
    assert not reader.end.transport.is_reading()
    peer.sendall(b"2")
    while stream.received[-1:] != b"2":
        assert await stream.wait(100)
    borrowed.give_back()
    reading.cancel()
    reader.end.writer.close()
    peer.close()


async def test_it_is_read_on_where_what_was_on_its_way_has_it_given_back() -> None:
    """An upgrade, say, whose head is the last that asyncio had read: mitmproxy has the connection from then on."""
    reader, peer = await watched()
    reading = asyncio.ensure_future(reader.read(65536))
    await asyncio.sleep(0)
    reader.borrow(lambda _: reader.give_back())
    reader.end.reader.feed_data(b"on its way")
    await asyncio.sleep(0.01)
    peer.sendall(b"what follows")
    assert await asyncio.wait_for(reading, 100) == b"what follows"
    reader.end.writer.close()
    peer.close()
