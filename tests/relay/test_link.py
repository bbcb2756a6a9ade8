"""The relay against real sockets, each way it can take."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import socket
import struct

import pytest
from tests.relay.conftest import MakeEnd, open_descriptors

from proxy_policies.relay.link import Counts, link

pytestmark = pytest.mark.timeout(60)

MIB = 1 << 20


async def send(sock: socket.socket, data: bytes, rng: random.Random, *, eof: bool = True) -> None:
    """Send in chunks of random sizes, then half-close."""
    loop = asyncio.get_running_loop()
    view = memoryview(data)
    while view:
        size = rng.choice((1, 2, 100, 1460, 65_536, 300_000))
        await loop.sock_sendall(sock, view[:size])
        view = view[size:]
    if eof:
        sock.shutdown(socket.SHUT_WR)


async def receive(sock: socket.socket) -> bytes:
    """Everything until end of file."""
    loop = asyncio.get_running_loop()
    data = bytearray()
    while chunk := await loop.sock_recv(sock, 100_000):
        data += chunk
    return bytes(data)


async def send_until_full(sock: socket.socket) -> int:
    """Send until nothing has been taken for a while; returns the bytes taken, to the megabyte."""
    sent = 0
    with contextlib.suppress(TimeoutError):
        while True:
            await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(sock, bytes(MIB)), 0.3)
            sent += MIB
    return sent


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("seed", range(8))
async def test_every_byte_in_order_both_ways_at_once(make_end: MakeEnd, way: str, seed: int) -> None:
    rng = random.Random(seed)
    (a, client), (b, server) = await make_end(), await make_end()
    up, down = rng.randbytes(rng.randrange(3 * MIB)), rng.randbytes(rng.randrange(3 * MIB))
    running = asyncio.create_task(link(a, b, idle=20))
    _, _, got_up, got_down = await asyncio.gather(
        send(client, up, rng), send(server, down, rng), receive(server), receive(client)
    )
    counts = await running
    assert (digest(got_up), digest(got_down)) == (digest(up), digest(down))
    assert (counts.up, counts.down, counts.error) == (len(up), len(down), "")


async def test_what_was_read_or_written_before_comes_first(make_end: MakeEnd, way: str) -> None:
    (a, client), (b, server) = await make_end(), await make_end()
    early = b"e" * 200_000  # more than the reader's limit: its transport is paused by then
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, early)
    while len(getattr(a.reader, "_buffer")) < 128 * 1024:  # noqa: B009, ASYNC110
        await asyncio.sleep(0)
    a.prefix = b"prefix"
    b.writer.write(b"w" * (8 * MIB))  # more than the socket takes: part of it still waits in the transport
    running = asyncio.create_task(link(a, b, idle=20))
    await asyncio.gather(send(client, b"late", random.Random(1)), send(server, b"", random.Random(2)))
    got = await receive(server)
    assert got == b"w" * (8 * MIB) + b"prefix" + early + b"late"
    assert (await running).up == len(got) - 8 * MIB


async def test_a_half_close_leaves_the_other_direction_open(make_end: MakeEnd, way: str) -> None:
    (a, client), (b, server) = await make_end(), await make_end()
    running = asyncio.create_task(link(a, b, idle=20))
    await send(client, b"question", random.Random(0))
    assert await receive(server) == b"question"
    await send(server, b"answer" * 100_000, random.Random(0))
    assert await receive(client) == b"answer" * 100_000
    assert (await running).error == ""


async def test_a_sink_that_does_not_read_holds_its_source_up(make_end: MakeEnd, way: str) -> None:
    (a, client), (b, server) = await make_end(), await make_end()
    running = asyncio.create_task(link(a, b, idle=1))
    assert await send_until_full(client) < 64 * MIB
    assert "nothing moved for 1 s" in (await running).error
    server.close()


async def test_the_other_direction_flows_while_one_is_stuck(make_end: MakeEnd, way: str) -> None:
    (a, client), (b, server) = await make_end(), await make_end()
    a.writer.write(bytes(16 * MIB))  # the client reads none of it yet
    running = asyncio.create_task(link(a, b, idle=20))
    await send(client, b"up" * 500_000, random.Random(3))
    assert await receive(server) == b"up" * 500_000
    server.shutdown(socket.SHUT_WR)
    assert len(await receive(client)) == 16 * MIB
    assert (await running).error == ""


async def test_idle_is_counted_from_the_last_byte(make_end: MakeEnd, way: str) -> None:
    (a, client), (b, server) = await make_end(), await make_end()
    running = asyncio.create_task(link(a, b, idle=0.4))
    loop = asyncio.get_running_loop()
    for _ in range(4):  # 0.8 s in all, but never 0.4 s without a byte
        await loop.sock_sendall(client, b"x")
        assert await loop.sock_recv(server, 10) == b"x"
        await asyncio.sleep(0.2)
    assert not running.done()
    counts = await running
    assert (counts.up, counts.error) == (4, "nothing moved for 0.4 s")


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def test_a_reset_ends_the_link(make_end: MakeEnd, way: str) -> None:
    (a, client), (b, _server) = await make_end(), await make_end()
    running = asyncio.create_task(link(a, b, idle=20))
    await asyncio.sleep(0)
    reset(client)
    assert "reset" in (await running).error.lower()


async def test_what_was_sent_before_a_close_arrives(make_end: MakeEnd, way: str) -> None:
    """A server that answers and closes while the client is still sending."""
    (a, client), (b, server) = await make_end(), await make_end()
    running = asyncio.create_task(link(a, b, idle=20))
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(server, b"go away")
    server.close()
    assert await receive(client) == b"go away"
    sending = asyncio.create_task(send(client, bytes(16 * MIB), random.Random(1)))
    assert (await running).error == ""
    a.writer.close()
    with pytest.raises(OSError, match=r"reset|[Bb]roken"):
        await sending


async def test_cancelling_leaves_no_descriptor_and_no_task(make_end: MakeEnd, way: str) -> None:
    (a, client), (b, server) = await make_end(), await make_end()
    before, tasks = open_descriptors(), asyncio.all_tasks()
    counts = Counts()
    running = asyncio.create_task(link(a, b, idle=20, counts=counts))
    await asyncio.get_running_loop().sock_sendall(client, b"hello")
    assert await asyncio.get_running_loop().sock_recv(server, 10) == b"hello"
    await send_until_full(client)  # bytes are held when the end comes
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert counts.up > 5
    assert open_descriptors() == before
    assert asyncio.all_tasks() == tasks


async def test_many_at_once_share_the_loop(make_end: MakeEnd, way: str) -> None:
    """Forty small exchanges get through while four endless streams never rest."""
    greedy = [(await make_end(), await make_end()) for _ in range(4)]
    small = [(await make_end(), await make_end()) for _ in range(40)]
    links = [asyncio.create_task(link(a, b, idle=20)) for (a, _), (b, _) in greedy + small]
    loop = asyncio.get_running_loop()

    async def flood(client: socket.socket) -> None:
        while True:
            await loop.sock_sendall(client, bytes(MIB))

    async def swallow(server: socket.socket) -> None:
        while True:
            await loop.sock_recv(server, MIB)

    async def ping(client: socket.socket, server: socket.socket) -> None:
        for n in range(10):
            await loop.sock_sendall(client, b"%d" % n)
            assert await loop.sock_recv(server, 10) == b"%d" % n

    noise = [asyncio.create_task(work) for (_, c), (_, s) in greedy for work in (flood(c), swallow(s))]
    async with asyncio.timeout(30):
        await asyncio.gather(*(ping(c, s) for (_, c), (_, s) in small))
    for task in noise + links:
        task.cancel()
    await asyncio.gather(*noise, *links, return_exceptions=True)


async def test_a_finished_link_leaves_nothing_open(make_end: MakeEnd, way: str) -> None:
    before = open_descriptors()
    (a, client), (b, server) = await make_end(), await make_end()
    running = asyncio.create_task(link(a, b, idle=20))
    await send(client, b"x", random.Random(0))
    await send(server, b"y", random.Random(0))
    await asyncio.gather(receive(client), receive(server), running)
    for end, peer in ((a, client), (b, server)):
        peer.close()
        end.writer.close()
        with contextlib.suppress(OSError):
            await end.writer.wait_closed()
    assert open_descriptors() == before
