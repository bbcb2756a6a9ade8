"""Home and work over real sockets, in every security mode."""

from __future__ import annotations

import asyncio
import hashlib
import random

import pytest
from tests.support.home_and_works_in_process import Tunnel, ask, connect, echo
from tests.support.waiting import eventually

from proxy_policies.reverse_tunnel.identity import Credentials

pytestmark = pytest.mark.timeout(60)

MIB = 1 << 20


async def test_round_trip_with_half_close(tunnel: Tunnel, credentials: tuple[Credentials, Credentials]) -> None:
    """The client ends first and still gets everything back: over TLS that takes frames."""
    await tunnel.start_home(credentials=credentials[0])
    client_listener = await tunnel.client_listener("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, credentials=credentials[1])
    data = random.Random(1).randbytes(5 * MIB)
    assert hashlib.sha256(await ask(client_listener, data)).digest() == hashlib.sha256(data).digest()
    assert await ask(client_listener, b"") == b""
    for size in (1, 4095, 4096, 16385, 65536, 262144, 262145):
        assert await ask(client_listener, data[:size]) == data[:size]
    await eventually(lambda: not list(tunnel.home.sessions))


async def test_a_server_that_speaks_first(tunnel: Tunnel) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.read()

    await tunnel.start_home()
    client_listener = await tunnel.client_listener("smtp")
    await tunnel.start_work(services={"smtp": await tunnel.serve(greet)})
    reader, writer = await connect(client_listener)
    assert await reader.readline() == b"220 hello\r\n"
    writer.close()


async def test_many_at_once_without_and_with_spares(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    client_listener = await tunnel.client_listener("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, spares=3)
    asked = [str(n).encode() * 1000 for n in range(100)]  # each in 10 s, on a loaded machine, too
    assert await asyncio.gather(*(ask(client_listener, data) for data in asked)) == asked
