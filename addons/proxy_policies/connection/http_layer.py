"""A layer before mitmproxy's HTTP/1.1 layer that has requests responded to without mitmproxy while possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator, Layer
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode
from mitmproxy.proxy.layers.tls import ClientTLSLayer, ServerTLSLayer
from OpenSSL import SSL

from proxy_policies.connection.fast_path_guard import speaks_http
from proxy_policies.exchange.origin_connections import Destination
from proxy_policies.patches import resets

ALPN_OF_HTTP1 = (None, b"", b"http/1.1")


@dataclass
class LayeredHttp:
    """An HTTP connection that begins inside layers."""

    context: Context
    mode: HTTPMode
    said: bytearray = field(default_factory=bytearray)
    """Bytes already received from the client; later, those not responded to."""
    is_at_end: bool = False
    """The client has ended its half of the connection."""
    is_cut: bool = False
    """The client's connection broke."""
    feed: Callable[[bytes | None], None] | None = None
    """Receives client data from the layers once the connection is borrowed; b"" is the end, None a cut."""
    has_left: bool = False

    def end(self, rest: bytes | None) -> None:
        """Take back the bytes not responded to, and all later ones; None if the client has left."""
        self.feed, self.has_left = None, rest is None
        self.said[:] = rest or b""

    @property
    def destination(self) -> Destination | None:
        """The destination of requests that name none."""
        if self.mode is not HTTPMode.transparent or not self.context.server.address:
            return None
        scheme = "https" if self.context.server.tls else "http"
        return Destination(scheme, *self.context.server.address[:2])

    def tls_of(self, kind: type[ClientTLSLayer | ServerTLSLayer]) -> SSL.Connection | None:
        """Return a side's TLS connection; None if there is none."""
        layers = [layer for layer in self.context.layers if isinstance(layer, kind)]
        return layers[-1].tls if layers else None

    @property
    def is_plain(self) -> bool:
        """Return whether it is HTTP/1.1 with an origin not behind another proxy, and TLS is as expected.

        TLS within TLS is not.
        """
        client, server, layers = self.context.client, self.context.server, self.context.layers
        if client.alpn not in ALPN_OF_HTTP1 or server.via or self.mode is HTTPMode.upstream:
            return False
        if server.connected and (server.tls != server.tls_established or server.alpn not in ALPN_OF_HTTP1):
            return False
        return sum(isinstance(layer, ClientTLSLayer) for layer in layers) == int(client.tls)


@dataclass
class HttpConnectionHook(StartHook):
    """HTTP begins inside layers; a handler that responds without them sets in `data` what is left for mitmproxy."""

    name = "policy_http_connection"
    data: LayeredHttp


class PolicyHttpLayer(Layer):
    """Takes the place of mitmproxy's HTTP layer until that is needed."""

    def __init__(self, http: HttpLayer, is_wanted: Callable[[LayeredHttp], bool]) -> None:
        super().__init__(http.context)
        self.context.layers.remove(self)  # other code looks for the HTTP layer at its usual position
        self._http, self._is_wanted = http, is_wanted
        self._asked = LayeredHttp(http.context, http.mode)
        self._is_passed_on = self._is_end_queued = False

    def handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Handle an event; client data during direct handling is passed to `feed`."""
        if self._is_passed_on and not self._paused:
            return self._http.handle_event(event)
        if self._paused and isinstance(event, events.ConnectionEvent) and event.connection == self.context.client:
            if isinstance(event, events.DataReceived):
                self._take(event.data)
                return _nothing()
            if isinstance(event, events.ConnectionClosed):  # also passed to the layer below
                self._is_end_queued = True
                self._take(None if resets.was_cut(event.connection, self.context) else b"")
        return super().handle_event(event)

    def _take(self, data: bytes | None) -> None:
        asked = self._asked
        asked.is_cut = asked.is_cut or data is None
        asked.is_at_end = asked.is_at_end or not data
        if asked.feed is not None:
            asked.feed(data)
        elif data:
            asked.said += data

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        if self._is_passed_on:  # an event received meanwhile
            yield from self._http.handle_event(event)
        elif isinstance(event, events.Start):
            yield from self._start(event)

    def _start(self, event: events.Start) -> CommandGenerator[None]:
        asked = self._asked
        is_asked = asked.is_plain and self._is_wanted(asked)
        if is_asked:
            yield HttpConnectionHook(asked)
        if asked.has_left:
            yield commands.CloseConnection(self.context.client)
            return
        self._is_passed_on = True
        yield from self._http.handle_event(event)
        if asked.said:
            yield from self._http.handle_event(events.DataReceived(self.context.client, bytes(asked.said)))
        if is_asked and self._has_ended_meanwhile():
            self.context.client.state &= ~ConnectionState.CAN_READ
            yield from self._http.handle_event(events.ConnectionClosed(self.context.client))

    def _has_ended_meanwhile(self) -> bool:
        """Return whether the client's closing alert was read outside the layers, which will therefore not see it."""
        tls = self._asked.tls_of(ClientTLSLayer)
        return tls is not None and bool(tls.get_shutdown() & SSL.RECEIVED_SHUTDOWN) and not self._is_end_queued


def _nothing() -> CommandGenerator[None]:
    yield from ()


def has_layers_around(context: Context, made: Layer) -> bool:
    """Return whether a layer of mitmproxy's is inside a tunnel, TLS or SOCKS over TCP, or starts TLS itself."""
    is_bare = isinstance(made, HttpLayer) and len(context.layers) == 2 and speaks_http(context.client.proxy_mode)
    return not is_bare and context.client.transport_protocol == "tcp"


def put_before_http(made: Layer, is_wanted: Callable[[LayeredHttp], bool]) -> Layer:
    """Return mitmproxy's layers with ours before HTTP."""
    if isinstance(made, HttpLayer):
        return PolicyHttpLayer(made, is_wanted)
    for layer in _below(made):
        if isinstance(child := layer.child_layer, HttpLayer):
            layer.child_layer = PolicyHttpLayer(child, is_wanted)
    return made


def _below(layer: Layer | None) -> Iterator[ClientTLSLayer | ServerTLSLayer]:
    while isinstance(layer, (ClientTLSLayer, ServerTLSLayer)):
        yield layer
        layer = layer.child_layer
