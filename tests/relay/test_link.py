"""The relay against real sockets, each way it can take."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest
from tests.support.relay_links import MakeEnd, MakeLink, open_descriptors
from tests.support.relay_peers import MIB, digest, receive, send, send_until_full
from tests.support.sockets import reset

from proxy_policies.relay.link import relay_streams

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("seed", range(8))
async def test_every_byte_in_order_both_ways_at_once(make_link: MakeLink, seed: int) -> None:
    rng = random.Random(seed)
    linked = await make_link()
    up, down = rng.randbytes(rng.randrange(3 * MIB)), rng.randbytes(rng.randrange(3 * MIB))
    _, _, got_up, got_down = await asyncio.gather(
        send(linked.client, up, rng), send(linked.server, down, rng), receive(linked.server), receive(linked.client)
    )
    counts = await linked.running
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
    running = asyncio.create_task(relay_streams(a, b, idle=20))
    await asyncio.gather(send(client, b"late", random.Random(1)), send(server, b"", random.Random(2)))
    got = await receive(server)
    assert got == b"w" * (8 * MIB) + b"prefix" + early + b"late"
    assert (await running).up == len(got) - 8 * MIB


async def test_a_half_close_leaves_the_other_direction_open(make_link: MakeLink) -> None:
    linked = await make_link()
    await send(linked.client, b"question", random.Random(0))
    assert await receive(linked.server) == b"question"
    await send(linked.server, b"answer" * 100_000, random.Random(0))
    assert await receive(linked.client) == b"answer" * 100_000
    assert (await linked.running).error == ""


async def test_urgent_data_is_no_end(make_link: MakeLink) -> None:
    linked = await make_link()
    await asyncio.sleep(0.05)  # the relay waits for bytes already
    linked.client.send(b"!", socket.MSG_OOB)  # telnet's Synch, FTP's ABOR; RFC 6093 has what follows it go on
    await asyncio.gather(send(linked.client, b"after", random.Random(0)), send(linked.server, b"", random.Random(0)))
    assert await receive(linked.server) in (b"after", b"!after")
    assert (await linked.running).error == ""


async def test_what_follows_urgent_data_need_not_wait_for_the_end(make_link: MakeLink) -> None:
    linked = await make_link()
    await asyncio.sleep(0.05)  # the relay waits for bytes already
    linked.client.send(b"!", socket.MSG_OOB)
    linked.client.send(b"after")
    got = b""
    async with asyncio.timeout(20):
        while not got.endswith(b"after"):
            got += await asyncio.get_running_loop().sock_recv(linked.server, 100)
    linked.client.shutdown(socket.SHUT_WR)
    linked.server.shutdown(socket.SHUT_WR)
    assert (await linked.running).error == ""


async def test_a_sink_that_does_not_read_holds_its_source_up_alone(make_link: MakeLink) -> None:
    linked = await make_link(idle=1)
    assert await send_until_full(linked.client) < 64 * MIB
    await send(linked.server, b"down" * 100_000, random.Random(3))
    assert await receive(linked.client) == b"down" * 100_000
    assert "nothing moved for 1 s" in (await linked.running).error


async def test_the_other_direction_flows_while_one_is_stuck(make_end: MakeEnd, way: str) -> None:
    (a, client), (b, server) = await make_end(), await make_end()
    a.writer.write(bytes(16 * MIB))  # the client reads none of it yet
    running = asyncio.create_task(relay_streams(a, b, idle=20))
    await send(client, b"up" * 500_000, random.Random(3))
    assert await receive(server) == b"up" * 500_000
    server.shutdown(socket.SHUT_WR)
    assert len(await receive(client)) == 16 * MIB
    assert (await running).error == ""


async def test_idle_is_counted_from_the_last_byte(make_link: MakeLink) -> None:
    linked = await make_link(idle=0.4)
    loop = asyncio.get_running_loop()
    for _ in range(4):  # 0.8 s in all, but never 0.4 s without a byte
        await loop.sock_sendall(linked.client, b"x")
        assert await loop.sock_recv(linked.server, 10) == b"x"
        await asyncio.sleep(0.2)
    assert not linked.running.done()
    counts = await linked.running
    assert (counts.up, counts.error) == (4, "nothing moved for 0.4 s")


async def test_a_reset_ends_the_link(make_link: MakeLink) -> None:
    linked = await make_link()
    await asyncio.sleep(0)
    reset(linked.client)
    assert "reset" in (await linked.running).error.lower()


async def test_what_was_sent_before_a_close_arrives(make_link: MakeLink) -> None:
    """A server that answers and closes while the client is still sending."""
    linked = await make_link()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(linked.server, b"go away")
    linked.server.close()
    assert await receive(linked.client) == b"go away"
    sending = asyncio.create_task(send(linked.client, bytes(16 * MIB), random.Random(1)))
    assert (await linked.running).error == ""
    await linked.let_go()
    with pytest.raises(OSError, match=r"reset|[Bb]roken"):
        await sending


async def test_cancelling_leaves_no_descriptor_and_no_task(make_link: MakeLink) -> None:
    linked = await make_link()
    before, tasks = open_descriptors(), asyncio.all_tasks()
    await asyncio.get_running_loop().sock_sendall(linked.client, b"hello")
    assert await asyncio.get_running_loop().sock_recv(linked.server, 10) == b"hello"
    await send_until_full(linked.client)  # bytes are held when the end comes
    linked.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await linked.running
    assert linked.counts.up > 5
    assert open_descriptors() == before
    assert asyncio.all_tasks() == tasks - {linked.running}


async def test_many_at_once_share_the_loop(make_link: MakeLink) -> None:
    """Forty small exchanges get through while four endless streams never rest."""
    greedy, small = [await make_link() for _ in range(4)], [await make_link() for _ in range(40)]
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

    noise = [asyncio.create_task(work) for one in greedy for work in (flood(one.client), swallow(one.server))]
    async with asyncio.timeout(100):
        await asyncio.gather(*(ping(one.client, one.server) for one in small))
    for task in noise:
        task.cancel()
    await asyncio.gather(*noise, return_exceptions=True)


async def test_a_finished_link_leaves_nothing_open(make_link: MakeLink) -> None:
    before = open_descriptors()
    linked = await make_link()
    await send(linked.client, b"x", random.Random(0))
    await send(linked.server, b"y", random.Random(0))
    await asyncio.gather(receive(linked.client), receive(linked.server), linked.running)
    linked.client.close()
    linked.server.close()
    await linked.let_go()
    assert open_descriptors() == before
