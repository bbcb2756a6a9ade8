"""Connections to origins, with mitmproxy's hooks about them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons
from tests.support.waiting import eventually, free_port

from proxy_policies.exchange import origin_connections
from proxy_policies.exchange.origin_connections import (
    Destination,
    Origin,
    OriginError,
    OriginPool,
    Origins,
    may_share,
)
from proxy_policies.outbound.dial import Dialer


class Seen:
    """Notes hooks by name; refuses the connection if so asked."""

    def __init__(self, config: TlsConfig) -> None:
        self.names: list[str] = []
        self.refuses = False
        self._config = config

    async def trigger(self, hook: type[StartHook], data: Any) -> None:
        self.names.append(hook.name)
        if self.refuses and hook.name == "server_connect":
            data.server.error = "not this one"
        if hook.name == "tls_start_server":
            self._config.tls_start_server(data)


@pytest.fixture
async def seen() -> AsyncIterator[Seen]:
    dialer, config = Dialer(), TlsConfig()
    with taddons.context(dialer, config):
        yield Seen(config)


@pytest.fixture
def client() -> Client:
    return Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)


async def connected(origins: Origins) -> tuple[Origin, socket.socket, int]:
    listening = socket.create_server(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]
    origin = origins.new(Destination("http", "127.0.0.1", port))
    await origin.connect()
    peer, _ = listening.accept()
    listening.close()
    return origin, peer, port


async def test_a_connection_is_kept_and_used_again(seen: Seen, client: Client) -> None:
    origins = Origins(client, seen.trigger, None, OriginPool())
    origin, peer, port = await connected(origins)
    assert seen.names == ["server_connect", "server_connected"]
    assert (origin.server.state, origin.server.peername) == (ConnectionState.OPEN, ("127.0.0.1", port))
    origins.keep(origin, Destination("http", "127.0.0.1", port))
    assert origins.idle(Destination("http", "127.0.0.1", port + 1), is_shareable=True) is None
    assert origins.idle(Destination("http", "127.0.0.1", port), is_shareable=False) is origin
    assert origin.is_reused
    assert origins.idle(Destination("http", "127.0.0.1", port), is_shareable=False) is None
    origin.close()
    peer.close()
    await eventually(lambda: seen.names[-1] == "server_disconnected")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 408 Too late\r\n\r\n"], ids=["ends", "says what nobody asked for"])
async def test_an_idle_connection_that(seen: Seen, client: Client, said: bytes) -> None:
    origins = Origins(client, seen.trigger, None, OriginPool())
    origin, peer, port = await connected(origins)
    origins.keep(origin, Destination("http", "127.0.0.1", port))
    if said:
        peer.sendall(said)
    else:
        peer.close()
    await eventually(lambda: seen.names[-1] == "server_disconnected")
    assert origins.idle(Destination("http", "127.0.0.1", port), is_shareable=False) is None
    assert origin.server.state is ConnectionState.CLOSED
    peer.close()


async def test_what_is_not_shared_is_closed_with_its_client(seen: Seen, client: Client) -> None:
    origins = Origins(client, seen.trigger, Destination("http", "a.test", 80), OriginPool())
    origin, peer, port = await connected(origins)
    origin.is_shareable = False
    origins.keep(origin, Destination("http", "127.0.0.1", port))
    origins.close()
    assert await asyncio.to_thread(peer.recv, 1) == b""
    assert origins.first.address == ("a.test", 80)
    peer.close()


async def left(pool: OriginPool, seen: Seen, client: Client) -> tuple[Origin, socket.socket, Destination]:
    """A connection that a client has left."""
    origins = Origins(client, seen.trigger, None, pool)
    origin, peer, port = await connected(origins)
    destination = Destination("http", "127.0.0.1", port)
    origins.keep(origin, destination)
    origins.close()
    return origin, peer, destination


def another(mode: str = "regular") -> Client:
    """Another client."""
    peer, own = ("127.0.0.1", 3), ("127.0.0.1", 2)
    return Client(peername=peer, sockname=own, state=ConnectionState.OPEN, proxy_mode=ProxyMode.parse(mode))


async def test_the_next_client_uses_it(seen: Seen, client: Client) -> None:
    pool, last = OriginPool(), another()
    origin, peer, destination = await left(pool, seen, client)
    of_last = Origins(last, seen.trigger, None, pool)
    assert of_last.idle(destination, is_shareable=False) is None
    assert (
        Origins(another("reverse:http://a.test"), seen.trigger, None, pool).idle(destination, is_shareable=True) is None
    )
    assert of_last.idle(destination, is_shareable=True) is origin
    assert of_last.idle(destination, is_shareable=True) is None
    assert origin.is_reused
    assert origin._data.client is last
    origin.close()
    peer.close()


async def test_one_on_which_something_came_is_not_used(seen: Seen, client: Client) -> None:
    """Even if the event loop has not seen it yet."""
    pool = OriginPool()
    origin, peer, destination = await left(pool, seen, client)
    peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    assert Origins(client, seen.trigger, None, pool).idle(destination, is_shareable=True) is None
    assert origin.server.state is ConnectionState.CLOSED
    peer.close()


@pytest.mark.parametrize("why", ["time", "their number", "the end"])
async def test_pooled_connections_are_closed(
    seen: Seen, client: Client, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    pool = OriginPool()
    monkeypatch.setattr(origin_connections, "MAX_POOLED", 1)
    monkeypatch.setattr(origin_connections, "POOLED_FOR", 0.1 if why == "time" else 1000)
    origin, peer, _ = await left(pool, seen, client)
    others = [] if why != "their number" else [await left(pool, seen, client)]
    if why == "the end":
        pool.close()
    assert await asyncio.to_thread(peer.recv, 1) == b""
    assert all(other.is_usable for other, _, _ in others)
    assert origin.server.state is ConnectionState.CLOSED
    pool.close()
    for _, sock, _ in others:
        sock.close()
    peer.close()


@pytest.mark.parametrize(
    ("method", "content", "fields", "may"),
    [
        ("GET", b"", {}, True),
        ("GET", b"", {"Cookie": "a=1"}, True),
        ("GET", b"x", {}, False),
        ("GET", b"", {"Authorization": "NTLM TlRM"}, False),
        ("GET", b"", {"proxy-authorization": "Basic eA=="}, False),
        ("HEAD", b"", {}, False),
        ("get", b"", {}, False),
        ("POST", b"", {}, False),
    ],
)
def test_requests_that_may_share(method: str, content: bytes, fields: dict[str, str], may: bool) -> None:
    assert (
        may_share(
            http.Request.make(
                method, "http://a.test/", content, http.Headers([(k.encode(), v.encode()) for k, v in fields.items()])
            )
        )
        is may
    )


async def test_connection_refused(seen: Seen, client: Client) -> None:
    origin = Origins(client, seen.trigger, None, OriginPool()).new(Destination("http", "127.0.0.1", free_port()))
    with pytest.raises(OriginError, match="connection refused"):
        await origin.connect()
    assert seen.names == ["server_connect", "server_connect_error"]


async def test_an_addon_refuses(seen: Seen, client: Client) -> None:
    seen.refuses = True
    origin = Origins(client, seen.trigger, None, OriginPool()).new(Destination("http", "127.0.0.1", free_port()))
    with pytest.raises(OriginError, match="Connection killed: not this one"):
        await origin.connect()
    assert seen.names == ["server_connect", "server_connect_error"]


@pytest.mark.parametrize("end", ["time", "its client has left"])
async def test_one_that_says_nothing_of_tls(
    seen: Seen, client: Client, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Its connection is closed."""
    monkeypatch.setattr(Dialer, "connect_timeout", 0.3 if end == "time" else 60)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        origin = Origins(client, seen.trigger, None, OriginPool()).new(Destination("https", *listening.getsockname()))
        connecting = asyncio.create_task(origin.connect())
        peer, _ = await asyncio.to_thread(listening.accept)
    hello = await asyncio.to_thread(peer.recv, 65536)
    assert hello[0] == 0x16
    if end == "time":
        with pytest.raises(OriginError, match="TLS handshake timed out"):
            await connecting
    else:
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
    assert await asyncio.to_thread(peer.recv, 1) == b""
    peer.close()
