"""mitmproxy's handlers of clients, found by whose they are."""

from __future__ import annotations

from asyncio import StreamWriter

from mitmproxy import ctx
from mitmproxy.connection import Client
from mitmproxy.proxy.server import ConnectionHandler


def handler_of(client_id: str) -> ConnectionHandler | None:
    """Return what serves a client inside of mitmproxy; None where nothing does."""
    server = ctx.master.addons.get("proxyserver")
    handler: ConnectionHandler | None = server.connections.get(client_id) if server else None
    return handler


def writer_to(client: Client) -> StreamWriter | None:
    """Return mitmproxy's writer to a client, if it has one."""
    handler = handler_of(client.id)
    io = handler.transports.get(client) if handler else None
    return io.writer if io and isinstance(io.writer, StreamWriter) else None
