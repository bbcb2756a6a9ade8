"""Finds the handlers of clients' connections in mitmproxy, and ends connections, with or without a handler."""

from __future__ import annotations

from asyncio import StreamWriter
from typing import Any

from mitmproxy import ctx
from mitmproxy.connection import Client, Connection
from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.patches import client_sides, resets


def handler_of(client_id: str) -> ConnectionHandler | None:
    """Return mitmproxy's handler for a client; None if there is none."""
    server = ctx.master.addons.get("proxyserver")
    handler: ConnectionHandler | None = server.connections.get(client_id) if server else None
    return handler


def writer_to(client: Client) -> StreamWriter | None:
    """Return mitmproxy's writer to a client, if it has one."""
    handler = handler_of(client.id)
    io = handler.transports.get(client) if handler else None
    return io.writer if io and isinstance(io.writer, StreamWriter) else None


def unsent_to(client: Client, connection: Connection | None) -> int:
    """Count the bytes that wait to be written to a socket, that of a client or of one of its origins."""
    handler = handler_of(client.id)
    return unsent_by(handler, connection) if handler and connection else 0


def unsent_by(handler: ConnectionHandler, connection: Connection) -> int:
    """Count the bytes that wait to be written to a socket of a handler."""
    io = handler.transports.get(connection)
    writer = io.writer if io else None
    return writer.transport.get_write_buffer_size() if isinstance(writer, StreamWriter) else 0


def set_write_limit(client_id: str, size: int) -> None:
    """Allow up to `size` more bytes to wait to be sent to a client, and resume its waiting writers."""
    handler = handler_of(client_id)
    writer = writer_to(handler.client) if handler else None
    if writer is None:
        return
    writer.transport.set_write_buffer_limits(writer.transport.get_write_buffer_size() + size)
    # asyncio applies new limits only when something is sent, which never happens while the client reads nothing.
    if resume := getattr(writer.transport, "_maybe_resume_protocol", None):
        resume()


def end_client(client_id: str, why: str) -> None:
    """End a client's connection at once; what is in progress ends with this error."""
    fastlane: Any = ctx.master.addons.get("fastlane")
    if fastlane is not None and (connection := fastlane.find(client_id)) is not None:
        connection.end(why)
    elif (handler := handler_of(client_id)) is not None:
        _end(handler, why)


def end_clients(why: str) -> None:
    """End all clients' connections in this way."""
    connections, handlers = _all()
    for connection in connections.values():
        connection.end(why)
    for handler in handlers:
        if handler.client.id not in connections:
            _end(handler, why)


def are_clients_left() -> bool:
    """Return whether any client is connected."""
    return any(_all())


def _all() -> tuple[dict[str, Any], list[ConnectionHandler]]:
    """Return the connections that are served without mitmproxy's layers, by client id, and those that have layers."""
    fastlane: Any = ctx.master.addons.get("fastlane")
    server: Any = ctx.master.addons.get("proxyserver")
    return {} if fastlane is None else dict(fastlane.connections), list(server.connections.values())


def _end(handler: ConnectionHandler, why: str) -> None:
    client = handler.client
    client.error = why
    side = client_sides.side_of(client)
    if side is None or side.is_tunnel:  # no framing shows that data is missing
        for connection in handler.transports:
            resets.reset(connection, handler.layer.context)
    io = handler.transports.get(client)
    if io is not None and io.handler is not None:
        io.handler.cancel(why)
