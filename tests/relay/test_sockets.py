"""What is particular to bare sockets joined by callbacks; what holds for every link is in test_link."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
import sys
from collections.abc import Callable, Iterator

import pytest
from tests.support.relay_links import JOINED_WAYS, force, open_descriptors
from tests.support.relay_peers import receive, send, send_until_full, tcp_pair
from tests.support.sockets import reset

from proxy_policies.relay import sockets
from proxy_policies.relay.link import relay_sockets
from proxy_policies.relay.sockets import Copy

pytestmark = pytest.mark.timeout(60)

MakePair = Callable[[], tuple[socket.socket, socket.socket]]


@pytest.fixture(params=JOINED_WAYS, autouse=True)
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


async def test_what_was_read_before_comes_first(make_pair: MakePair) -> None:
    (a, client), (b, server) = make_pair(), make_pair()
    rest = bytes(range(256)) * 30_000  # more than the sink takes at once
    running = asyncio.create_task(relay_sockets(a, b, rest=rest, idle=20))
    await send(client, b"late", random.Random(1))
    await send(server, b"", random.Random(2))
    assert await receive(server) == rest + b"late"
    counts = await running
    assert (counts.up, counts.down, counts.error) == (len(rest) + 4, 0, "")


async def test_a_sink_that_is_gone_before_the_rest_is_sent(make_pair: MakePair) -> None:
    (a, client), (b, server) = make_pair(), make_pair()
    reset(server)
    await asyncio.sleep(0.05)  # until the reset has arrived, and the error been taken
    b.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    client.shutdown(socket.SHUT_WR)
    counts = await relay_sockets(a, b, rest=b"hello", idle=20)
    assert (counts.up, counts.down) == (0, 0)


async def test_cancelling_leaves_the_loop_watching_nothing(make_pair: MakePair) -> None:
    (a, client), (b, _) = make_pair(), make_pair()
    running = asyncio.create_task(relay_sockets(a, b, idle=20))
    await send_until_full(client)  # bytes are held when the end comes
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    loop = asyncio.get_running_loop()
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
    running = asyncio.create_task(relay_sockets(a, b, idle=20))
    await asyncio.gather(send(client, b"up" * 300_000, random.Random(5)), send(server, b"", random.Random(6)))
    assert await receive(server) == b"up" * 300_000
    assert (await running).error == ""
    assert open_descriptors() == before


async def test_bites_that_are_swallowed_bit_by_bit(make_pair: MakePair, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a bite when a turn is over goes on, though nothing more comes."""
    (a, client), (b, server) = make_pair(), make_pair()
    monkeypatch.setattr(sockets, "transfers", lambda source, sink: [lambda: Copy(source, Sipping(sink))])  # type: ignore[arg-type]
    running = asyncio.create_task(relay_sockets(a, b, idle=300))
    await asyncio.get_running_loop().sock_sendall(client, b"0123456789" * 3)
    got = b""
    async with asyncio.timeout(100):
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


@pytest.mark.parametrize("who", ["client", "target"])
async def test_who_broke_off_is_said(make_pair: MakePair, who: str) -> None:
    (a, client), (b, target) = make_pair(), make_pair()
    running = asyncio.create_task(relay_sockets(a, b, idle=60, names=("client", "target")))
    await asyncio.sleep(0)
    reset(client if who == "client" else target)
    assert (await running).error == f"{who} reset the connection"
