"""Handles a peer's bytes in portions, and lets other connections run after each (a turn of the event loop).

mitmproxy handles everything it has read at once, then reads on: a peer that sends many small messages blocks the loop.
Here a layer with more to do waits until other connections have run and the client has accepted what it was sent; and
nothing more is read from a connection until everything read before is handled.
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
"""Seconds between checks on a client that has sent too many requests at once."""

_waiting: dict[str, set[asyncio.Event]] = {}
"""By client, one event for each layer that waits for its next turn; set when the turn has come."""


@dataclass
class NextTurnHook(StartHook):
    """A layer has more to do for a client, and lets others take their turn first."""

    client: Client


class ThreadCall:
    """A call to be made in a thread."""

    def __init__(self, run: Callable[[], bytes]) -> None:
        self.run = run
        self.result: bytes | None = None


@dataclass
class OffLoopHook(StartHook):
    """A layer has work that would block the event loop."""

    call: ThreadCall


def take_turn(client: Client) -> CommandGenerator[None]:
    """Make a layer wait for its next turn; nothing more is read for it until then."""
    yield from hold(client, NextTurnHook(client))


def off_loop(client: Client, run: Callable[[], bytes]) -> CommandGenerator[bytes]:
    """Make a layer wait for the result of a call made in a thread; nothing more is read for it meanwhile."""
    call = ThreadCall(run)
    yield from hold(client, OffLoopHook(call))
    return run() if call.result is None else call.result  # no addon runs it once ours are unloaded


def hold(client: Client, hook: StartHook) -> CommandGenerator[None]:
    """Make a layer wait for a hook; nothing more is read for it meanwhile."""
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
    """Wait until all others have had a turn of the event loop, and the client has accepted what it was sent."""
    await asyncio.sleep(0)
    await _drained(client)


async def _drained(client: Client) -> None:
    if (writer := writer_to(client)) is not None:
        with contextlib.suppress(OSError):  # closed: there is nothing to wait for
            await writer.drain()


async def received_is_handled(handler: ConnectionHandler) -> None:
    """Wait until everything received from a connection's peers is handled."""
    while _waiting and (waiting := _waiting.get(handler.client.id)):
        await next(iter(waiting)).wait()
    while _reads_a_client_ahead(handler):  # noqa: ASYNC110 -- mitmproxy has no event for the end of a request
        await asyncio.sleep(POLL)


def _reads_a_client_ahead(handler: ConnectionHandler) -> bool:
    """Return whether this task reads from a client that has sent further requests while one is being answered."""
    side = client_sides.side_of(handler.client)
    if side is None or not side.is_full():
        return False
    io = handler.transports.get(handler.client)
    return io is not None and io.handler is asyncio.current_task()
