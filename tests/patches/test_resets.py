"""A connection that was cut is distinguished from one that has ended, and cut on to the other side."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from mitmproxy.connection import Client, Server
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy
from mitmproxy.proxy.server import ConnectionIO

from proxy_policies.byte_streams.socket_options import reset_on_close
from proxy_policies.patches import resets


@dataclass
class Link:
    """A connection of the proxy's, as it is read, and its peer."""

    connection: Server
    context: Context
    transport: ConnectionIO
    peer: socket.socket


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        peer, _ = listening.accept()
    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0)
    connection = Server(address=("127.0.0.1", 1))
    transport = ConnectionIO(None, reader, writer)
    async with AsyncExitStack() as stack:
        stack.enter_context(resets.registered(connection, transport))
        stack.enter_context(peer)
        yield Link(connection, Context(client, Options()), transport, peer)
        writer.close()
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])


async def read_to_the_end(link: Link) -> None:
    """Read as mitmproxy does, to which every error is an end."""
    assert isinstance(link.transport.reader, asyncio.StreamReader)
    try:
        while await link.transport.reader.read(100):
            pass
    except OSError:
        pass


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_reset_is_told_from_an_end(link: Link, is_reset: bool) -> None:
    link.peer.send(b"half")
    reset_on_close(link.peer, is_reset)
    link.peer.close()
    await read_to_the_end(link)
    assert resets.was_reset(link.connection, link.context) is is_reset
    assert resets.was_cut(link.connection, link.context) is is_reset


async def test_what_an_upstream_proxy_carries_is_reset_with_it(link: Link) -> None:
    """The connection through the tunnel has no socket of its own."""
    carried = Server(address=("a.test", 80))
    context = link.context.fork()
    context.server = carried
    layer = HttpUpstreamProxy(context, link.connection, True)
    layer.child_layer = NextLayer(context)
    assert not resets.was_reset(carried, context)
    reset_on_close(link.peer)
    link.peer.close()
    await read_to_the_end(link)
    assert resets.was_reset(carried, context)


def ends(peer: socket.socket) -> str:
    """Return how a connection ended for its peer."""
    peer.settimeout(60)
    try:
        while peer.recv(100):
            pass
    except ConnectionResetError:
        return "reset"
    return "end"


@pytest.mark.parametrize(("cut", "is_on", "end"), [(False, True, "end"), (True, True, "reset"), (True, False, "end")])
async def test_a_cut_connection_ends_with_a_reset(link: Link, cut: bool, is_on: bool, end: str) -> None:
    if cut:
        resets.cut(link.connection, link.context)
        assert resets.is_cut(link.connection)
    if not is_on:
        resets.cut(link.connection, link.context, is_on=False)
        assert not resets.is_cut(link.connection)
    assert isinstance(link.transport.writer, asyncio.StreamWriter)
    link.transport.writer.close()
    assert await asyncio.to_thread(ends, link.peer) == end


async def test_a_connection_is_broken_off_at_once(link: Link) -> None:
    resets.reset(link.connection, link.context)
    assert await asyncio.to_thread(ends, link.peer) == "reset"


async def test_an_unread_connection_has_no_error() -> None:
    connection = Server(address=("127.0.0.1", 1))
    context = Context(Client(peername=("", 1), sockname=("", 2), timestamp_start=0), Options())
    assert not resets.was_cut(connection, context)
    resets.reset(connection, context)
    resets.cut(connection, context)
    assert resets.is_cut(connection)
    with resets.registered(connection, ConnectionIO(None, None, None)):
        assert not resets.was_reset(connection, context)
