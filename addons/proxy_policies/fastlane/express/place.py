"""Where in mitmproxy's layers an exchange of a connection takes place. Tried on mitmproxy 12.2."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mitmproxy import connection, http
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import GetHttpConnection, HttpClient, HttpLayer

from proxy_policies.patches.http1_server import Server
from proxy_policies.patches.request_heads import address_of
from proxy_policies.patches.retry import NoticingClient
from proxy_policies.validity import Invalid

MODES = (modes.HttpProxy, modes.ReverseProxy)
"""The modes that have HTTP right below them."""


@dataclass(frozen=True, slots=True)
class Place:
    """The HTTP layer of a client's connection, which is plain HTTP/1.1, and that layer's side towards the client."""

    layer: HttpLayer
    side: Server
    context: Context
    is_reverse: bool

    def is_idle(self) -> bool:
        """Return whether nothing is under way, and every byte has been dealt with."""
        side = self.side
        is_busy = self.layer.streams or side.buf or side._paused or side.is_lingering
        return not is_busy and bool(side.state == side.read_headers)

    def occupy(self, taken: bool) -> None:
        """Have the side towards the client wait for the end of an exchange, as it would, or for the next request."""
        self.side.state = self.side.wait if taken else self.side.read_headers

    def upstream(self, flow: http.HTTPFlow) -> Upstream | None:
        """Return the connection that mitmproxy would send a flow's request on, if that is there, idle and plain."""
        request, server = flow.request, flow.server_conn
        if request.scheme != "http" or server.via:
            return None
        wanted = GetHttpConnection((request.host, request.port), False, None, server.transport_protocol)
        for candidate, layer in self.layer.connections.items():
            if not wanted.connection_spec_matches(candidate):
                continue
            if candidate in self.layer.waiting_for_establishment or candidate.error:
                return None
            if candidate.connected:
                return _idle(candidate, layer)
        return None


@dataclass(frozen=True, slots=True)
class Upstream:
    """A kept-alive connection to an origin, and the side of the proxy that speaks there."""

    connection: connection.Server
    side: NoticingClient


def find(context: Context) -> Place | None:
    """Find the place below a connection's topmost layer, once mitmproxy has decided that it is HTTP."""
    layers: list[Any] = context.layers
    if len(layers) != 2 or type(layers[0]) not in MODES or type(layers[1]) is not HttpLayer:
        return None
    layer: HttpLayer = layers[1]
    side: object = layer.connections.get(context.client)
    if not isinstance(side, Server) or context.server.tls:
        return None
    return Place(layer, side, context, type(layers[0]) is modes.ReverseProxy)


def _idle(server: connection.Connection, layer: object) -> Upstream | None:
    side: Any = getattr(layer, "child_layer", None) if type(layer) is HttpClient else None
    if not isinstance(side, NoticingClient) or not isinstance(server, connection.Server):
        return None
    is_idle = side.state == side.read_headers and not (side.stream_id or side.buf)
    return Upstream(server, side) if is_idle else None


@lru_cache(maxsize=1024)
def destination(authority: bytes) -> tuple[str, int] | None:
    """Return host and port that the authority of an http target names; None when it is not valid."""
    try:
        return address_of(authority, b"http")
    except Invalid:
        return None
