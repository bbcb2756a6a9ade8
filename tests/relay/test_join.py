"""Bare sockets joined by callbacks: the same as a link of streams, without a task or a descriptor of its own."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
import sys
from collections.abc import Callable, Iterator

import pytest
from tests.relay.conftest import force, open_descriptors, tcp_pair
from tests.relay.test_link import digest, receive, reset, send, send_until_full

from proxy_policies.relay import sockets
from proxy_policies.relay.copying import Copy
from proxy_policies.relay.link import Counts, join

pytestmark = pytest.mark.timeout(60)

MIB = 1 << 20
MakePair = Callable[[], tuple[socket.socket, socket.socket]]


@pytest.fixture(params=["splice", "copy"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    force(request.param, monkeypatch)


@pytest.fixture
def make_pair() -> Iterator[MakePair]:
    made: list[socket.socket] = []

    def make() -> tuple[socket.socket, socket.socket]:
        pair = tcp_pair()
        made.extend(pair)
        return pair

    yield make
    for sock in made:
        sock.close()


@pytest.mark.parametrize("seed", range(8))
async def test_every_byte_in_order_both_ways_at_once(make_pair: MakePair, seed: int) -> None:
    rng = random.Random(seed)
    (a, client), (b, server) = make_pair(), make_pair()
    rest, up, down = (rng.randbytes(rng.randrange(1, 3 * MIB)) for _ in range(3))
    running = asyncio.create_task(join(a, b, rest=rest, idle=20))
    _, _, got_up, got_down = await asyncio.gather(
        send(client, up, rng), send(server, down, rng), receive(server), receive(client)
    )
    counts = await running
    assert (digest(got_up), digest(got_down)) == (digest(rest + up), digest(down))
    assert (counts.up, counts.down, counts.error) == (len(rest + up), len(down), "")


async def test_a_half_close_leaves_the_other_direction_open(make_pair: MakePair) -> None:
    (a, client), (b, server) = make_pair(), make_pair()
    running = asyncio.create_task(join(a, b, idle=20))
    await send(client, b"question", random.Random(0))
    assert await receive(server) == b"question"
    await send(server, b"answer" * 100_000, random.Random(0))
    assert await receive(client) == b"answer" * 100_000
    assert (await running).error == ""


async def test_a_sink_that_does_not_read_holds_its_source_up(make_pair: MakePair) -> None:
    (a, client), (b, server) = make_pair(), make_pair()
    running = asyncio.create_task(join(a, b, idle=1))
    assert await send_until_full(client) < 64 * MIB
    await send(server, b"down" * 100_000, random.Random(3))
    assert await receive(client) == b"down" * 100_000
    assert "nothing moved for 1 s" in (await running).error


async def test_a_reset_ends_it(make_pair: MakePair) -> None:
    (a, client), (b, _) = make_pair(), make_pair()
    running = asyncio.create_task(join(a, b, idle=20))
    await asyncio.sleep(0)
    reset(client)
    assert "reset" in (await running).error.lower()


async def test_what_was_sent_before_a_close_arrives(make_pair: MakePair) -> None:
    """A server that answers and closes while the client is still sending."""
    (a, client), (b, server) = make_pair(), make_pair()
    running = asyncio.create_task(join(a, b, idle=20))
    await asyncio.get_running_loop().sock_sendall(server, b"go away")
    server.close()
    assert await receive(client) == b"go away"
    sending = asyncio.create_task(send(client, bytes(16 * MIB), random.Random(1)))
    assert (await running).error == ""
    a.close()
    with pytest.raises(OSError, match=r"reset|[Bb]roken"):
        await sending


async def test_a_sink_that_is_gone_before_the_rest_is_sent(make_pair: MakePair) -> None:
    (a, client), (b, server) = make_pair(), make_pair()
    reset(server)
    await asyncio.sleep(0.05)  # until the reset has arrived, and the error been taken
    b.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    client.shutdown(socket.SHUT_WR)
    counts = await join(a, b, rest=b"hello", idle=20)
    assert (counts.up, counts.down) == (0, 0)


async def test_cancelling_leaves_the_loop_watching_nothing(make_pair: MakePair) -> None:
    (a, client), (b, server) = make_pair(), make_pair()
    before, tasks = open_descriptors(), asyncio.all_tasks()
    counts, loop = Counts(), asyncio.get_running_loop()
    running = asyncio.create_task(join(a, b, idle=20, counts=counts))
    await loop.sock_sendall(client, b"hello")
    assert await loop.sock_recv(server, 10) == b"hello"
    await send_until_full(client)  # bytes are held when the end comes
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert counts.up > 5
    assert open_descriptors() == before
    assert asyncio.all_tasks() == tasks
    assert not any(loop.remove_reader(sock) or loop.remove_writer(sock) for sock in (a, b))


async def test_a_kernel_that_refuses_to_splice(make_pair: MakePair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes already in the pipe are not lost when copying takes over."""
    if sys.platform != "linux":
        pytest.skip("this system has no splice")
    genuine, calls = os.splice, []

    def refusing(source: int, sink: int, count: int, *, flags: int) -> int:
        calls.append(count)
        if len(calls) == 2:
            raise OSError(errno.EINVAL, "no")
        return genuine(source, sink, count, flags=flags)

    monkeypatch.setattr(os, "splice", refusing)
    (a, client), (b, server) = make_pair(), make_pair()
    before = open_descriptors()
    running = asyncio.create_task(join(a, b, idle=20))
    await asyncio.gather(send(client, b"up" * 300_000, random.Random(5)), send(server, b"", random.Random(6)))
    assert await receive(server) == b"up" * 300_000
    assert (await running).error == ""
    assert open_descriptors() == before


async def test_bites_that_are_swallowed_bit_by_bit(make_pair: MakePair, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a bite when a turn is over goes on, though nothing more comes."""
    (a, client), (b, server) = make_pair(), make_pair()
    monkeypatch.setattr(sockets, "movers", lambda source, sink: [lambda: Copy(source, Sipping(sink))])  # type: ignore[arg-type]
    running = asyncio.create_task(join(a, b, idle=5))
    await asyncio.get_running_loop().sock_sendall(client, b"0123456789" * 3)
    got = b""
    async with asyncio.timeout(4):
        while len(got) < 30:
            got += await asyncio.get_running_loop().sock_recv(server, 100)
    assert got == b"0123456789" * 3
    client.close()
    server.close()
    assert (await running).error == ""


class Sipping:
    """A socket that takes a few bytes at a time, and never says that it would block."""

    def __init__(self, genuine: socket.socket) -> None:
        self._genuine = genuine

    def send(self, data: bytes) -> int:
        return self._genuine.send(data[:3])
