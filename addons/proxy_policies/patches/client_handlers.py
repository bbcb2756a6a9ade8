"""Finds mitmproxy's connection handlers by client."""

from __future__ import annotations

from asyncio import StreamWriter

from mitmproxy import ctx
from mitmproxy.connection import Client, Connection
from mitmproxy.proxy.server import ConnectionHandler


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
