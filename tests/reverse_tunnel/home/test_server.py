"""Home behind a load balancer knows the addresses of works and clients."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from tests.support.home_and_works_in_process import Tunnel, ask, connect, echo
from tests.support.waiting import eventually

from proxy_policies.addresses import Address, parse_networks
from proxy_policies.proxy_protocol import header
from proxy_policies.proxy_protocol.header import write
from proxy_policies.reverse_tunnel import identity
from proxy_policies.reverse_tunnel.limits import MAX_UNAUTHENTICATED
from proxy_policies.reverse_tunnel.options import CommandListener
from proxy_policies.reverse_tunnel.protocol.services import Service

pytestmark = pytest.mark.timeout(60)


WHO = ("192.0.2.7", 50000)
INTRODUCTIONS = {
    "v1": b"PROXY TCP4 192.0.2.7 198.51.100.2 50000 443\r\n",
    "v2": write(WHO, ("198.51.100.2", 443)),
    "IPv6": b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 443\r\n",
    "a health check": write(None, None),
}
BALANCER = parse_networks(["127.0.0.1"])


async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: Address, header: bytes) -> None:
    """Do as a load balancer: introduce the client, in pieces, and pass its bytes to and fro."""
    host_reader, host_writer = await asyncio.open_connection(*to)
    for octet in header:
        host_writer.write(bytes([octet]))
        await asyncio.sleep(0)

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                target.write(data)
        target.close()

    await asyncio.gather(copy(reader, host_writer), copy(host_reader, writer))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", INTRODUCTIONS)
async def test_a_load_balancer_says_who_a_work_is(
    tunnel: Tunnel, folders: dict[str, Path], caplog: pytest.LogCaptureFixture, kind: str, tls: bool
) -> None:
    caplog.set_level("INFO")
    credentials = identity.load("home", str(folders["paris"]), "") if tls else identity.NO_CREDENTIALS
    address = tunnel.command_listener
    listen = CommandListener(address, proxy=True)
    await tunnel.start_home(listen=listen, credentials=credentials, balancers=BALANCER)
    client_listener = await tunnel.client_listener("echo")
    tunnel.command_listener = await tunnel.serve(lambda r, w: passed_on(r, w, address, INTRODUCTIONS[kind]))
    credentials = identity.load("work", str(folders["office"]), "") if tls else identity.NO_CREDENTIALS
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, credentials=credentials)
    assert await ask(client_listener, b"hello") == b"hello"
    who = {"IPv6": "2001:db8::7", "a health check": "127.0.0.1"}.get(kind, WHO[0])
    assert f"home: work office connected from {who}, offers echo" in caplog.text


async def test_a_load_balancer_says_who_a_client_is(tunnel: Tunnel, caplog: pytest.LogCaptureFixture) -> None:
    """The service may get a header in turn."""
    caplog.set_level("INFO")
    await tunnel.start_home(balancers=BALANCER)
    client_listener = await tunnel.client_listener("echo", proxy=True)
    service = Service("echo", await tunnel.serve(echo), proxy=True)
    await tunnel.start_work(services={"echo": service})
    came = await ask(client_listener, INTRODUCTIONS["v1"] + b"hello")
    address, rest = header.parse(came) or (None, b"")
    assert (address, rest) == (WHO, b"hello")
    await eventually(lambda: "home: 192.0.2.7:50000 left echo" in caplog.text)


@pytest.mark.parametrize("said", [b"hello, it is me\r\n", b"PROXY nonsense\r\n", INTRODUCTIONS["v1"][:20]])
async def test_who_is_not_introduced_is_not_served(
    tunnel: Tunnel, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    await tunnel.start_home(balancers=BALANCER)
    client_listener = await tunnel.client_listener("echo", proxy=True)
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    with contextlib.suppress(ConnectionError):
        assert await ask(client_listener, said) == b""
    await eventually(lambda: "home: echo: 127.0.0.1:" in caplog.text and " rejected: " in caplog.text)


async def test_a_client_that_is_no_load_balancer_has_its_own_address(tunnel: Tunnel) -> None:
    """A header of other clients is data for the service; without listed load balancers, that is every header."""
    await tunnel.start_home(balancers=parse_networks(["192.0.2.0/24"]))
    elsewhere, plain = await tunnel.client_listener("echo", proxy=True), await tunnel.client_listener("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    said = INTRODUCTIONS["v1"] + b"hello"
    assert await ask(elsewhere, said) == said
    await tunnel.start_home(balancers=BALANCER)
    assert await ask(plain, said) == said
    assert await ask(elsewhere, said) == b"hello"


async def test_unauthenticated_peers_are_counted_by_their_address(tunnel: Tunnel) -> None:
    """Behind a load balancer they share an address: many connections of one client would displace the others."""
    await tunnel.start_home(listen=CommandListener(tunnel.command_listener, proxy=True), balancers=BALANCER)
    inside = tunnel.home._handshakes.limiter

    async def come(client: str) -> asyncio.StreamReader:
        reader, writer = await connect(tunnel.command_listener)
        writer.write(write((client, 1), ("192.0.2.1", 2)))
        return reader

    alone = [await come(f"198.51.100.{number}") for number in range(5)]
    await eventually(lambda: len(inside) == len(alone))
    for _ in range(MAX_UNAUTHENTICATED + 30):
        await come("198.51.100.200")
    await eventually(lambda: len(inside) == MAX_UNAUTHENTICATED)
    assert not any(reader.at_eof() for reader in alone)
