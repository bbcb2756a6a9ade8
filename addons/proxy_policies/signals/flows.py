"""Which of mitmproxy's client connections are in use, and which may be closed. Tested with mitmproxy 12.3."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.layers import DNSLayer, HttpLayer, TCPLayer, UDPLayer, WebsocketLayer
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.server import ConnectionHandler

FIRST_REQUEST = 1.0  # seconds in which a new client's first request may be on its way
RELAYS = (TCPLayer, UDPLayer, WebsocketLayer, DNSLayer)
"""Layers that are in use as long as they exist."""


def is_in_use(handler: ConnectionHandler) -> bool:
    """Return whether a client awaits or receives a response, sends a request, or uses a tunnel."""
    is_new = time.time() - handler.client.timestamp_start < FIRST_REQUEST
    layer: Any = handler.layer
    return bool(is_new or _is_sending(handler) or are_in_use(layer.context.layers))


def are_in_use(layers: Sequence[Layer]) -> bool:
    """Return whether the layers of a connection, or of a tunnel in one, are in use."""
    for layer in reversed(layers):
        if isinstance(layer, HttpLayer):
            return any(map(_is_stream_in_use, layer.streams.values())) or _has_partial_head(layer)
        if isinstance(layer, RELAYS):
            return True
    return False


def _is_stream_in_use(stream: HttpStream) -> bool:
    """Return whether an exchange is in progress; if it became a tunnel, whether the layers inside are in use."""
    layers = stream.context.layers
    inside = layers[layers.index(stream) + 1 :]
    return not inside or are_in_use(inside)


def _has_partial_head(layer: HttpLayer) -> bool:
    """Return whether a part of a request's head was received."""
    return bool(getattr(layer.connections.get(layer.context.client), "buf", b""))


def _is_sending(handler: ConnectionHandler) -> bool:
    """Return whether data for the client is still in the write buffer."""
    io = handler.transports.get(handler.client)
    transport = getattr(io and io.writer, "transport", None)
    return transport is not None and transport.get_write_buffer_size() > 0
