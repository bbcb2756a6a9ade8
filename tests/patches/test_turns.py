"""A layer that has more to do waits for its turn, and nothing more is read for it meanwhile."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from mitmproxy import ctx
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.server import ConnectionHandler, ConnectionIO
from mitmproxy.test import taddons

from proxy_policies.patches.addon import Patches
from proxy_policies.patches.turns import NextTurnHook, OffLoopHook, next_turn, off_loop, received_is_handled, take_turn


class Handler(ConnectionHandler):
    """A client's connection without addons."""

    async def handle_hook(self, hook: StartHook) -> None:
        raise NotImplementedError


@pytest.fixture
async def handler() -> AsyncIterator[Handler]:
    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0)
    with taddons.context(Proxyserver()) as context:
        yield Handler(Context(client, context.options))


async def turns(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_nothing_is_read_until_every_layer_has_had_its_turn(handler: Handler) -> None:
    layers = [take_turn(handler.client) for _ in range(3)]
    for layer in layers:
        hook = next(layer)
        assert isinstance(hook, NextTurnHook)
        assert hook.client is handler.client
    reading = asyncio.ensure_future(received_is_handled(handler))
    for layer in layers:
        await turns()
        assert not reading.done()
        assert list(layer) == []
    await reading


async def test_an_abandoned_layer_delays_no_reader(handler: Handler) -> None:
    layer = take_turn(handler.client)
    next(layer)
    reading = asyncio.ensure_future(received_is_handled(handler))
    await turns()
    assert not reading.done()
    layer.close()
    await reading


async def test_another_clients_turn_is_not_waited_for(handler: Handler) -> None:
    other = Client(peername=("127.0.0.1", 3), sockname=("127.0.0.1", 2), timestamp_start=0)
    layer = take_turn(other)
    next(layer)
    await received_is_handled(handler)
    layer.close()


async def test_the_next_turn_comes_when_others_had_theirs(handler: Handler) -> None:
    """And at once where there is no connection any more."""
    order: list[str] = []

    async def other() -> None:
        order.append("other")

    waiting = asyncio.ensure_future(other())
    await next_turn(handler.client)
    order.append("next")
    await waiting
    assert order == ["other", "next"]


async def test_the_next_turn_comes_when_the_client_has_taken_what_it_was_sent(handler: Handler) -> None:
    come = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await come.wait()
        while await reader.read(1 << 20):
            pass
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        handler.transports[handler.client] = ConnectionIO(None, reader, writer)
        ctx.master.addons.get("proxyserver").connections[handler.client.id] = handler
        writer.write(bytes(32 << 20))
        waiting = asyncio.ensure_future(next_turn(handler.client))
        await turns(20)
        has_waited = not waiting.done()
        come.set()
        await waiting
        assert has_waited
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("is_heard", [True, False])
async def test_what_is_done_in_a_thread_is_done_once(handler: Handler, is_heard: bool) -> None:
    """By an addon that handles the hook; by the layer itself if there is none."""
    calls = []

    def call() -> bytes:
        calls.append(1)
        return b"made"

    layer = off_loop(handler.client, call)
    hook = next(layer)
    assert isinstance(hook, OffLoopHook)
    if is_heard:
        await Patches().off_loop(hook.call)
    with pytest.raises(StopIteration) as end:
        next(layer)
    assert (end.value.value, calls) == (b"made", [1])
