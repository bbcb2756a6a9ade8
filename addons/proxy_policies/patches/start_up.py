"""Nobody is served before start-up is over: every `running` is through, and mitmproxy watches for errors no more.

mitmproxy listens first. A client of that instant would meet addons that are not ready (no certificate store, say), and
an error that comes of it would end the process. Whatever the mode, clients wait where mitmproxy takes them up, unread;
where start-up fails, they are closed with the process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from mitmproxy.addons.clientplayback import ReplayHandler
from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.connection import Connection
from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.patches.patch import Patch
from proxy_policies.settings import is_starting

Serve = Callable[[Connection], Coroutine[Any, Any, None]]

_waiting: list[asyncio.Future[None]] = []
"""One for each connection that waits."""


def _held[Handler](original: Callable[[Handler], Awaitable[None]]) -> Callable[[Handler], Awaitable[None]]:
    async def handle(handler: Handler) -> None:
        if is_starting():
            _waiting.append(over := asyncio.get_running_loop().create_future())
            await over
            if isinstance(handler, ConnectionHandler):
                once_noted = _a_turn_later(handler.handle_connection)
                handler.handle_connection = once_noted  # type: ignore[method-assign, assignment]
        await original(handler)

    return handle


def _a_turn_later(original: Serve) -> Serve:
    """Begin after the caller has gone on: of who left while he waited, mitmproxy would forget the client meanwhile.

    Its tasks begin at once, and this one would have all it reads: `handle_client` then fails, and
    `client_disconnected` is never asked.
    """

    async def handle(connection: Connection) -> None:
        await asyncio.sleep(0)
        await original(connection)

    return handle


def _released(original: Callable[[ErrorCheck], None]) -> Callable[[ErrorCheck], None]:
    def finish(check: ErrorCheck) -> None:
        original(check)
        for over in _waiting:
            if not over.done():  # cancelled
                over.set_result(None)
        _waiting.clear()

    return finish


_WHY = "clients are served while addons are not running yet, and an error that comes of it ends the process"

PATCHES = (
    Patch(owner=ConnectionHandler, attribute="handle_client", wrap=_held, versions="12.3", why=_WHY),
    Patch(owner=ReplayHandler, attribute="replay", wrap=_held, versions="12.3", why=_WHY),
    Patch(owner=ErrorCheck, attribute="finish", wrap=_released, versions="12.3", why=_WHY),
)
