"""Streams of this process that keep to a rate."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.relay_peers import tcp_pair
from tests.support.waiting import eventually

from proxy_policies.reverse_tunnel.transport.framed import Framed
from proxy_policies.reverse_tunnel.transport.rate_limited import RateLimitedTransport

Pair = tuple[Framed, Framed]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """Both ends of a framed connection."""
    loop, socks = asyncio.get_running_loop(), tcp_pair()
    near, far = [(await loop.connect_accepted_socket(Framed, sock))[1] for sock in socks]
    yield near, far
    near.abort()
    far.abort()
    await asyncio.sleep(0)


class Receiver(asyncio.Protocol):
    def __init__(self) -> None:
        self.data, self.paused, self.ended = b"", list[bool](), False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.ended = True
        return True

    def pause_writing(self) -> None:
        self.paused.append(True)

    def resume_writing(self) -> None:
        self.paused.append(False)


async def test_both_ways_rest_as_long_as_they_are_told(pair: Pair) -> None:
    lower, far = pair
    receiver, peer, sizes = Receiver(), Receiver(), list[int]()

    def pace(size: int) -> float:
        sizes.append(size)
        return 0.05

    limited = RateLimitedTransport(lower, pace)
    limited.set_protocol(receiver)
    far.set_protocol(peer)
    assert limited.get_protocol() is receiver
    limited.write(b"out")
    assert receiver.paused == [True]
    far.write(b"in")
    await eventually(lambda: receiver.data == b"in" and receiver.paused == [True, False] and limited.is_reading())
    assert sorted(sizes) == [2, 3]
    assert limited.can_write_eof()
    limited.write_eof()
    await eventually(lambda: peer.ended)
    assert peer.data == b"out"


async def test_reading_stays_paused_while_its_protocol_wants_that(pair: Pair) -> None:
    lower, far = pair
    limited = RateLimitedTransport(lower, lambda size: 0.0)
    limited.set_protocol(receiver := Receiver())
    far.set_protocol(Receiver())
    limited.pause_reading()
    far.write(b"later")
    await asyncio.sleep(0.05)
    assert receiver.data == b""
    limited.resume_reading()
    await eventually(lambda: receiver.data == b"later")
    limited.close()
    assert limited.is_closing()
