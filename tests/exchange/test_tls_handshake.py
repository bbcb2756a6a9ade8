"""TLS with origins that do as they should, and others."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy.commands import StartHook
from mitmproxy.test import taddons
from tests.support.sockets import tcp_pair

from proxy_policies.byte_streams.byte_stream import SocketStream
from proxy_policies.exchange.tls_handshake import Handshake, HandshakeError

Serve = Callable[[socket.socket], None]


class Hooks:
    """Notes the names of hooks, and has mitmproxy's own addon answer them."""

    def __init__(self, context: taddons.context, config: TlsConfig) -> None:
        self.names: list[str] = []
        self.lines: list[str] = []
        self._context, self._config = context, config

    async def trigger(self, hook: type[StartHook], data: Any) -> None:
        self.names.append(hook.name)
        if hook.name == "tls_start_server":
            self._config.tls_start_server(data)

    def log(self, line: str, level: int) -> None:
        self.lines.append(line)


@pytest.fixture
async def hooks(ca_file: Path) -> AsyncIterator[Hooks]:
    config = TlsConfig()
    with taddons.context(config) as context:
        context.configure(config, ssl_verify_upstream_trusted_ca=str(ca_file))
        yield Hooks(context, config)


async def shake_hands(hooks: Hooks, serve: Serve, name: str = "localhost", **server: object) -> bytes:
    """Set TLS up with an origin, and return the first that it says."""
    ours, theirs = tcp_pair()
    thread = threading.Thread(target=serve, args=(theirs,), daemon=True)
    thread.start()
    to = Server(address=(name, 443), **server)  # type: ignore[arg-type]
    to.state = ConnectionState.OPEN
    below = SocketStream(ours)
    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)
    try:
        stream = await Handshake(client, to, below, hooks.trigger, hooks.log).run()
        while not stream.received:
            assert await stream.wait()
        assert to.tls_established
        return stream.take()
    finally:
        below.fail_silently()
        await asyncio.to_thread(thread.join, 20)
        theirs.close()


def greeting(context: ssl.SSLContext) -> Serve:
    def serve(sock: socket.socket) -> None:
        try:
            with context.wrap_socket(sock, server_side=True) as tls:
                tls.sendall(b"welcome")
                tls.recv(1)
        except OSError:
            sock.close()

    return serve


def saying(data: bytes) -> Serve:
    def serve(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(data)
        sock.close()

    return serve


async def test_an_origin_that_is_trusted(hooks: Hooks, server_tls: ssl.SSLContext) -> None:
    """What it says at once is there."""
    assert await shake_hands(hooks, greeting(server_tls)) == b"welcome"
    assert hooks.names == ["tls_start_server", "tls_established_server"]
    assert hooks.lines == []


async def test_one_of_another_name(hooks: Hooks, server_tls: ssl.SSLContext) -> None:
    with pytest.raises(HandshakeError, match="ostname mismatch"):
        await shake_hands(hooks, greeting(server_tls), "elsewhere.test")
    assert hooks.names == ["tls_start_server", "tls_failed_server"]
    assert hooks.lines[0].startswith("Server TLS handshake failed. Certificate verify failed: ")


@pytest.mark.parametrize(
    ("said", "why"),
    [(b"", "closed"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS"), (b"\xff" * 99, "OpenSSL")],
    ids=["nothing", "HTTP", "garbage"],
)
async def test_one_that_speaks_no_tls(hooks: Hooks, said: bytes, why: str) -> None:
    with pytest.raises(HandshakeError, match=why):
        await shake_hands(hooks, saying(said))
    assert hooks.names == ["tls_start_server", "tls_failed_server"]


async def test_one_that_an_addon_wants_http2_of(hooks: Hooks, server_tls: ssl.SSLContext) -> None:
    server_tls.set_alpn_protocols(["h2", "http/1.1"])
    with pytest.raises(HandshakeError, match="HTTP/2"):
        await shake_hands(hooks, greeting(server_tls), alpn_offers=[b"h2"])
