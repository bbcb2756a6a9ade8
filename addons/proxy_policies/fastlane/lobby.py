"""Where a connection is before mitmproxy sets anything up for it: hits are answered, and tunnels begun.

Whoever asks for something else goes on to mitmproxy, with every byte back in its place. Tried on mitmproxy 12.2.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.fastlane import set_up
from proxy_policies.fastlane.handover import Watched
from proxy_policies.inspection.hosts import Hosts

if TYPE_CHECKING:
    from proxy_policies.fastlane.desk import Desk

READ = 65535  # bytes at once, as mitmproxy
FIRST_BYTES = 5.0  # seconds that a client at no desk may take to begin; then mitmproxy waits for it


async def receive(handler: ConnectionHandler, watched: Watched, desk: Desk | None, hosts: Hosts | None) -> bool:
    """Serve a connection as far as that can be done here, and say whether that was to its end.

    desk: where hits are answered; None when they are not. hosts: what may be a tunnel; None when nothing may.
    """
    watchdog = handler.timeout_watchdog
    watchdog.callback = functools.partial(_on_timeout, handler, watchdog.callback)
    try:
        data = await (_first(watched) if desk is None else _first_left(watched, desk))
    except OSError:
        return True
    if data is None:
        return False
    watched.put_back(data)
    return not data or (hosts is not None and await set_up.serve(handler, watched, hosts, data))


async def _first(watched: Watched) -> bytes | None:
    """Read what a client says first, b"" if nothing ever; None when that takes too long."""
    try:
        return await asyncio.wait_for(watched.receive(READ), FIRST_BYTES)
    except TimeoutError:
        return None


async def _first_left(watched: Watched, desk: Desk) -> bytes:
    """Read what a client says first that is not answered at its desk, b"" if it leaves, or is sent away."""
    while data := await watched.receive(READ):
        if rest := await desk.answer_all(data):
            return rest
    return b""


async def _on_timeout(handler: ConnectionHandler, genuine: Callable[[], Awaitable[None]]) -> None:
    """Wait where mitmproxy has nothing to close yet, and would watch no more; the tunnel or the desk has time-outs."""
    watchdog, io = handler.timeout_watchdog, handler.transports.get(handler.client)
    if io is not None and io.handler is None:
        await watchdog.can_timeout.wait()
        watchdog.callback = genuine
        await watchdog.watch()
    else:
        await genuine()
