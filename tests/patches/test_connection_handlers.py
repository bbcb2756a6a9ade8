"""Whose connection is closed in its first instant."""

import asyncio
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
from mitmproxy.proxy.mode_servers import ServerInstance
from mitmproxy.test import taddons

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
