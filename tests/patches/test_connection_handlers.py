"""Whose connection is closed in its first instant."""

import asyncio
import itertools
import socket
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
from mitmproxy.connection import Client
from mitmproxy.proxy.mode_servers import ServerInstance
from mitmproxy.test import taddons
from tests.support.sockets import reset_when_closed

from proxy_policies.patches.connection_handlers import PATCH


@pytest.fixture
def patched() -> Iterator[None]:
    undo = PATCH.apply()
    yield
    if undo:
        undo()


@pytest.mark.usefixtures("patched")
async def test_a_connection_that_ends_in_its_first_instant_is_closed() -> None:
    """Its task is cancelled before it has read anything: `tcp_timeout` is over at once."""
    with taddons.context() as context:
        context.options.tcp_timeout = 0
        instance: ServerInstance[Any] = ServerInstance.make("regular@127.0.0.1:0", MagicMock())
        await instance.start()
        try:
            reader, writer = await asyncio.open_connection(*instance.listen_addrs[0][:2])
            async with asyncio.timeout(100):
                assert await reader.read() == b""
            writer.close()
        finally:
            await instance.stop()


class Shown:
    """Whom addons are shown."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.is_shown, self.is_gone = asyncio.Event(), asyncio.Event()

    def client_connected(self, client: Client) -> None:
        self.clients.append(client)
        self.is_shown.set()

    def client_disconnected(self, client: Client) -> None:
        self.is_gone.set()


@pytest.mark.usefixtures("patched")
async def test_a_client_that_was_reset_before_its_handover_is_not_shown() -> None:
    """As a balancer's health check does; it has no address any more, without which mitmproxy's own addons fail."""
    shown, loop = Shown(), asyncio.get_running_loop()
    with taddons.context(shown), socket.create_server(("127.0.0.1", 0)) as listening:
        instance: ServerInstance[Any] = ServerInstance.make("regular@127.0.0.1:0", MagicMock())
        gone, stays = [socket.create_connection(listening.getsockname()) for _ in range(2)]
        accepted = [listening.accept()[0] for _ in range(2)]
        reset_when_closed(gone)
        gone.close()
        for sock in accepted:
            reader = asyncio.StreamReader(loop=loop)
            protocol = asyncio.StreamReaderProtocol(reader, instance.handle_stream, loop=loop)
            await loop.connect_accepted_socket(itertools.repeat(protocol).__next__, sock)
        async with asyncio.timeout(100):
            await shown.is_shown.wait()
        assert [client.peername for client in shown.clients] == [stays.getsockname()]
        stays.close()
        async with asyncio.timeout(100):
            await shown.is_gone.wait()
