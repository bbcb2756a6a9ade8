"""Which of mitmproxy's client connections are at work, and which may be closed. Tried on mitmproxy 12.3."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.layers import DNSLayer, HttpLayer, TCPLayer, UDPLayer, WebsocketLayer
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.server import ConnectionHandler

FIRST_REQUEST = 1.0  # seconds in which a new client may have begun to ask, without our having seen it
RELAYS = (TCPLayer, UDPLayer, WebsocketLayer, DNSLayer)
"""Layers at work for as long as they are there."""


def is_at_work(handler: ConnectionHandler) -> bool:
    """Return whether a client waits for an answer, takes one, sends a request, or is one side of a tunnel."""
    is_new = time.time() - handler.client.timestamp_start < FIRST_REQUEST
    layer: Any = handler.layer
    return bool(is_new or _is_sending(handler) or are_at_work(layer.context.layers))


def are_at_work(layers: Sequence[Layer]) -> bool:
    """Return whether the layers of a connection, or of a tunnel in one, have something to do."""
    for layer in reversed(layers):
        if isinstance(layer, HttpLayer):
            return any(map(_stream_is_at_work, layer.streams.values())) or _has_begun(layer)
        if isinstance(layer, RELAYS):
            return True
    return False


def _stream_is_at_work(stream: HttpStream) -> bool:
    """Return whether an exchange goes on; of one that became a tunnel, whether something inside it does."""
    layers = stream.context.layers
    inside = layers[layers.index(stream) + 1 :]
    return not inside or are_at_work(inside)


def _has_begun(layer: HttpLayer) -> bool:
    """Return whether some of a request's head has come."""
    return bool(getattr(layer.connections.get(layer.context.client), "buf", b""))


def _is_sending(handler: ConnectionHandler) -> bool:
    """Return whether the client has not taken yet what is sent to it."""
    io = handler.transports.get(handler.client)
    transport = getattr(io and io.writer, "transport", None)
    return transport is not None and transport.get_write_buffer_size() > 0
