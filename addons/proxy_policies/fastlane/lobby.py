"""Where a connection is before mitmproxy sets anything up for it: hits are answered.

Whoever asks for something else goes on to mitmproxy, with every byte back in its place. Tried on mitmproxy 12.2.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.fastlane.handover import Watched

if TYPE_CHECKING:
    from proxy_policies.fastlane.desk import Desk

READ = 65535  # bytes at once, as mitmproxy


async def receive(handler: ConnectionHandler, watched: Watched, desk: Desk) -> bool:
    """Answer hits at a desk, and say whether that served the connection to its end."""
    watchdog = handler.timeout_watchdog
    watchdog.callback = functools.partial(_on_timeout, handler, watchdog.callback)
    try:
        data = await _first_left(watched, desk)
    except OSError:
        return True
    watched.put_back(data)
    return not data


async def _first_left(watched: Watched, desk: Desk) -> bytes:
    """Read what a client says first that is not answered at its desk, b"" if it leaves, or is sent away."""
    while data := await watched.receive(READ):
        if rest := await desk.answer_all(data):
            return rest
    return b""


async def _on_timeout(handler: ConnectionHandler, genuine: Callable[[], Awaitable[None]]) -> None:
    """Wait where mitmproxy has nothing to close yet, and would watch no more; the desk has time-outs."""
    watchdog, io = handler.timeout_watchdog, handler.transports.get(handler.client)
    if io is not None and io.handler is None:
        await watchdog.can_timeout.wait()
        watchdog.callback = genuine
        await watchdog.watch()
    else:
        await genuine()
