"""Working a peer's bytes off in portions, with a turn of the event loop for everybody else between two of them.

mitmproxy handles all that it has read at once, and reads on: whoever sends many small things holds the loop. Here a
layer that has more to do takes a turn, for which it waits until others had their turn and the client has taken
what it was sent; and nothing more is read from a connection until what was read before is worked off.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from mitmproxy.connection import Client
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.patches import client_sides
from proxy_policies.patches.client_handlers import writer_to

POLL = 0.02
"""Seconds between looks at a client that has asked for too much at once."""

_waiting: dict[str, set[asyncio.Event]] = {}
"""By client, for each layer that waits for its next turn: set when that has come."""


@dataclass
class NextTurnHook(StartHook):
    """A layer has more to do for a client, and lets others go first."""

    client: Client


class Work:
    """A call that is made in a thread."""

    def __init__(self, call: Callable[[], bytes]) -> None:
        self.run = call
        self.made: bytes | None = None


@dataclass
class OffLoopHook(StartHook):
    """A layer has something to do that would keep the event loop busy."""

    work: Work


def take_turn(client: Client) -> CommandGenerator[None]:
    """Have a layer wait for its next turn; nothing more is read for it until it goes on."""
    yield from hold(client, NextTurnHook(client))


def off_loop(client: Client, call: Callable[[], bytes]) -> CommandGenerator[bytes]:
    """Have a layer wait for what a call gives, which is made in a thread; nothing more is read for it meanwhile."""
    work = Work(call)
    yield from hold(client, OffLoopHook(work))
    return call() if work.made is None else work.made  # nobody does it any more once our addons are gone


def hold(client: Client, hook: StartHook) -> CommandGenerator[None]:
    """Have a layer wait for a hook; nothing more is read for it until it goes on."""
    over = asyncio.Event()
    waiting = _waiting.setdefault(client.id, set())
    waiting.add(over)
    try:
        yield hook
    finally:
        over.set()
        waiting.discard(over)
        if not waiting:
            _waiting.pop(client.id, None)


async def next_turn(client: Client) -> None:
    """Wait until everybody else had a turn of the event loop, and the client has taken what it was sent."""
    await asyncio.sleep(0)
    await _drained(client)


async def _drained(client: Client) -> None:
    if (writer := writer_to(client)) is not None:
        with contextlib.suppress(OSError):  # it is closed: there is nothing to wait for
            await writer.drain()


async def worked_off(handler: ConnectionHandler) -> None:
    """Wait until nothing is left to do of what a connection's peers have said."""
    while _waiting and (waiting := _waiting.get(handler.client.id)):
        await next(iter(waiting)).wait()
    while _reads_a_client_ahead(handler):  # noqa: ASYNC110 -- mitmproxy has no event for the end of a request
        await asyncio.sleep(POLL)


def _reads_a_client_ahead(handler: ConnectionHandler) -> bool:
    """Return whether this task reads from a client that has asked for more already than is being answered."""
    side = client_sides.side_of(handler.client)
    if side is None or not side.is_full():
        return False
    io = handler.transports.get(handler.client)
    return io is not None and io.handler is asyncio.current_task()
