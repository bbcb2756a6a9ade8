"""Nobody is served before start-up is over: every `running` is through, and mitmproxy watches for errors no more.

mitmproxy listens first. A client of that instant would meet addons that are not ready (no certificate store, say), and
an error that comes of it would end the process. Whatever the mode, clients wait where mitmproxy takes them up, unread;
where start-up fails, they are closed with the process.
"""

import asyncio
from collections.abc import Awaitable, Callable

from mitmproxy.addons.clientplayback import ReplayHandler
from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.patches.patch import Patch
from proxy_policies.settings import is_starting

_waiting: list[asyncio.Future[None]] = []
"""One for each connection that waits."""


def _held[Handler](original: Callable[[Handler], Awaitable[None]]) -> Callable[[Handler], Awaitable[None]]:
    async def handle(handler: Handler) -> None:
        if is_starting():
            _waiting.append(over := asyncio.get_running_loop().create_future())
            await over
        await original(handler)

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
