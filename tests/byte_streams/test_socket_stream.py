"""A bare socket in the event loop."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator

import pytest
from tests.support.sockets import reset_when_closed, tcp_pair

from proxy_policies.byte_streams.byte_stream import HIGH_WATER, READ_AHEAD, SocketStream

Pair = tuple[SocketStream, socket.socket]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """A stream, and its peer's blocking socket."""
    ours, peer = tcp_pair()
    stream = SocketStream(ours)
    yield stream, peer
    stream.fail_silently()
    peer.close()


async def test_what_comes_is_there_to_be_taken(pair: Pair) -> None:
    stream, peer = pair
    peer.sendall(b"one")
    assert await stream.wait() is True
    peer.sendall(b"two")
    assert await stream.wait() is True
    assert (stream.take(), stream.take(), stream.total_received) == (b"onetwo", b"", 6)


async def test_the_end_is_told_from_a_reset(pair: Pair) -> None:
    stream, peer = pair
    peer.close()
    assert await stream.wait() is False
    assert (stream.is_at_end, stream.error) == (True, None)
    assert await stream.wait() is False


async def test_a_reset(pair: Pair) -> None:
    stream, peer = pair
    reset_when_closed(peer)
    peer.close()
    assert await stream.wait() is False
    assert stream.error is not None
    assert stream.error.errno == errno.ECONNRESET
    stream.write(b"nobody takes this")
    assert stream.unsent == 0


async def test_nothing_within_some_time(pair: Pair) -> None:
    stream, peer = pair
    assert await stream.wait(0.01) is None
    peer.sendall(b"late")
    assert await stream.wait(100) is True
    assert stream.take() == b"late"


async def test_no_more_is_read_ahead_than_is_wanted(pair: Pair) -> None:
    stream, peer = pair
    peer.setblocking(False)
    stream.start_reading()
    sent = 0
    for _ in range(200):
        try:
            sent += peer.send(bytes(65536))
        except BlockingIOError:
            await asyncio.sleep(0.005)
    assert READ_AHEAD <= len(stream.received) < 2 * READ_AHEAD < sent


async def test_a_writer_waits_for_a_slow_peer(pair: Pair) -> None:
    stream, peer = pair
    size = 8 << 20
    stream.write(bytes(size))
    assert stream.unsent > HIGH_WATER
    draining = asyncio.ensure_future(stream.drain())
    await asyncio.sleep(0.01)
    assert not draining.done()
    received = await asyncio.to_thread(receive, peer, size)
    await draining
    assert received == size


def receive(sock: socket.socket, size: int) -> int:
    received = 0
    while received < size:
        received += len(sock.recv(1 << 20))
    return received


async def test_who_waits_for_a_peer_to_take_some_goes_on_when_more_may_wait(pair: Pair) -> None:
    stream, _ = pair
    stream.write(bytes(8 << 20))
    draining = asyncio.ensure_future(stream.drain())
    await asyncio.sleep(0)
    stream.high_water = stream.unsent - 1
    await asyncio.sleep(0)
    assert not draining.done()
    stream.high_water = stream.unsent
    await asyncio.wait_for(draining, 100)


async def test_a_close_waits_until_everything_is_sent(pair: Pair) -> None:
    stream, peer = pair
    size = 4 << 20
    stream.write(b"head", bytes(size))
    stream.close()
    stream.write(b"too late")
    assert not stream.is_closed
    assert await asyncio.to_thread(receive, peer, size + 4) == size + 4
    assert await asyncio.to_thread(peer.recv, 1) == b""
    assert stream.is_closed


async def test_a_reset_of_ours_is_no_end_of_file(pair: Pair) -> None:
    stream, peer = pair
    stream.write(b"half of it")
    stream.reset()
    with pytest.raises(ConnectionResetError):
        await asyncio.to_thread(peer.makefile("rb").read)


async def test_the_end_of_one_half(pair: Pair) -> None:
    stream, peer = pair
    stream.write(b"all")
    stream.end_sending()
    assert await asyncio.to_thread(peer.makefile("rb").read) == b"all"
    peer.sendall(b"still here")
    assert await stream.wait() is True
    assert stream.take() == b"still here"


async def test_a_detached_socket_is_not_watched_any_more(pair: Pair) -> None:
    stream, peer = pair
    stream.start_reading()
    with stream.detach() as sock:
        peer.sendall(b"for somebody else")
        await asyncio.sleep(0.05)
        assert (bytes(stream.received), sock.recv(100)) == (b"", b"for somebody else")


async def test_the_callback_is_called_without_a_waiter(pair: Pair) -> None:
    stream, peer = pair
    called = asyncio.Event()
    stream.on_readable = called.set
    stream.start_reading()
    peer.sendall(b"x")
    await asyncio.wait_for(called.wait(), 100)
    assert stream.received == b"x"
