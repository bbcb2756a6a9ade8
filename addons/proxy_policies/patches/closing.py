"""Closing every socket, whenever its task ends.

mitmproxy's connection task closes its socket in its last lines. Cancelled while it waits
to tell the layers of an end of file, it never gets there: the socket stays open, and its peer hangs.
"""

import contextlib
import functools
from collections.abc import Awaitable, Callable

from mitmproxy.connection import Connection
from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.patches.patch import Patch


def _closing(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(original)
    async def handle_connection(self: ConnectionHandler, connection: Connection) -> None:
        try:
            await original(self, connection)
        finally:
            left = self.transports.pop(connection, None)
            if left is not None and left.writer is not None:
                with contextlib.suppress(OSError):
                    left.writer.close()

    return handle_connection


PATCH = Patch(
    owner=ConnectionHandler,
    attribute="handle_connection",
    wrap=_closing,
    versions="12.2",
    why="a connection closed at the wrong moment stays open, and its peer hangs",
)
