"""Two asyncio transports joined by protocol callbacks."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.relay_peers import receive, send, tcp_pair
from tests.support.sockets import reset

from proxy_policies.relay.link import ByteCounts
from proxy_policies.reverse_tunnel.transport.connections import accept_bare
from proxy_policies.reverse_tunnel.transport.transport_relay import EndNames, OnData, relay_transports


class Joined:
    """Two peers, and the relay between them."""

    def __init__(self, client: socket.socket, server: socket.socket, transports: tuple[Any, Any]) -> None:
        self.client, self.server, self._transports = client, server, transports

    def start(self, tap: OnData | None = None) -> asyncio.Task[ByteCounts]:
        return asyncio.create_task(
            relay_transports(*self._transports, tap=tap, names=EndNames("client", "server", "relay"))
        )


@pytest.fixture
async def joined() -> AsyncIterator[Joined]:
    (a, client), (b, server) = tcp_pair(), tcp_pair()
    yield Joined(client, server, (await accept_bare(a), await accept_bare(b)))
    client.close()
    server.close()
    await asyncio.sleep(0)


async def test_every_byte_both_ways(joined: Joined) -> None:
    up, down = random.Random(1).randbytes(600_000), random.Random(2).randbytes(500_000)
    relay = joined.start()
    got = await asyncio.gather(
        receive(joined.server),
        receive(joined.client),
        send(joined.client, up, random.Random(3)),
        send(joined.server, down, random.Random(4)),
    )
    counts = await asyncio.wait_for(relay, 100)
    assert (got[0], got[1]) == (up, down)
    assert (counts.up, counts.down, counts.error) == (len(up), len(down), "")


async def test_a_reset_passes_on(joined: Joined) -> None:
    relay = joined.start()
    await asyncio.get_running_loop().sock_sendall(joined.client, b"x")
    reset(joined.client)
    with pytest.raises(ConnectionResetError):
        await receive(joined.server)
    assert (await asyncio.wait_for(relay, 100)).error == "client reset the connection"


async def test_cancelled_it_breaks_both_off(joined: Joined) -> None:
    relay = joined.start()
    await asyncio.sleep(0.01)
    relay.cancel()
    await asyncio.gather(relay, return_exceptions=True)
    for peer in (joined.client, joined.server):
        with pytest.raises(ConnectionResetError):
            await receive(peer)


async def test_a_tap_sees_what_passes(joined: Joined) -> None:
    seen: list[tuple[bool, bytes]] = []
    relay = joined.start(lambda from_first, data: seen.append((from_first, bytes(data))))
    await send(joined.client, b"up", random.Random(1))
    await send(joined.server, b"down", random.Random(1))
    await asyncio.wait_for(relay, 100)
    assert b"".join(data for is_up, data in seen if is_up) == b"up"
    assert b"".join(data for is_up, data in seen if not is_up) == b"down"
