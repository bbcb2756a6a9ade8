"""Where mitmproxy's layers come to HTTP/1.1: a layer that has it responded to without them, as long as that can be."""

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
    """HTTP that is about to be spoken inside of layers."""

    context: Context
    mode: HTTPMode
    said: bytearray = field(default_factory=bytearray)
    """What the client has said already, or what of it was not responded to."""
    is_at_end: bool = False
    """The client has said that nothing more comes."""
    is_cut: bool = False
    """The client's connection broke."""
    feed: Callable[[bytes | None], None] | None = None
    """Takes what the layers still say of the client, once the connection is borrowed; b"" is the end, None a cut."""
    has_left: bool = False

    def end(self, rest: bytes | None) -> None:
        """Take what was not responded to, and what the layers say from now on; None when the client has left."""
        self.feed, self.has_left = None, rest is None
        self.said[:] = rest or b""

    @property
    def destination(self) -> Destination | None:
        """Where requests go that do not say it themselves."""
        if self.mode is not HTTPMode.transparent or not self.context.server.address:
            return None
        scheme = "https" if self.context.server.tls else "http"
        return Destination(scheme, *self.context.server.address[:2])

    def tls_of(self, kind: type[ClientTLSLayer | ServerTLSLayer]) -> SSL.Connection | None:
        """Return what encrypts a side; None where nothing does."""
        layers = [layer for layer in self.context.layers if isinstance(layer, kind)]
        return layers[-1].tls if layers else None

    @property
    def is_plain(self) -> bool:
        """Return whether it is HTTP/1.1 with an origin that is not behind another proxy, and TLS is where it should be.

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
    """HTTP begins inside of layers: whoever responds without them says in `data` what is left for mitmproxy."""

    name = "policy_http_connection"
    data: LayeredHttp


class PolicyHttpLayer(Layer):
    """Stands before mitmproxy's HTTP layer, until that is needed."""

    def __init__(self, http: HttpLayer, is_wanted: Callable[[LayeredHttp], bool]) -> None:
        super().__init__(http.context)
        self.context.layers.remove(self)  # others look for HTTP where mitmproxy has it
        self._http, self._is_wanted = http, is_wanted
        self._asked = LayeredHttp(http.context, http.mode)
        self._is_passed_on = self._is_end_queued = False

    def handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Handle an event; what a client says while it is responded to goes there."""
        if self._is_passed_on and not self._paused:
            return self._http.handle_event(event)
        if self._paused and isinstance(event, events.ConnectionEvent) and event.connection == self.context.client:
            if isinstance(event, events.DataReceived):
                self._take(event.data)
                return _nothing()
            if isinstance(event, events.ConnectionClosed):  # which the layer below is given, too
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
        if self._is_passed_on:  # what came meanwhile
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
        """Return whether the client's closing alert was read without the layers, which will not see it any more."""
        tls = self._asked.tls_of(ClientTLSLayer)
        return tls is not None and bool(tls.get_shutdown() & SSL.RECEIVED_SHUTDOWN) and not self._is_end_queued


def _nothing() -> CommandGenerator[None]:
    yield from ()


def has_layers_around(context: Context, made: Layer) -> bool:
    """Return whether what mitmproxy has made stands inside of a tunnel, TLS or SOCKS over TCP, or begins TLS itself."""
    is_bare = isinstance(made, HttpLayer) and len(context.layers) == 2 and speaks_http(context.client.proxy_mode)
    return not is_bare and context.client.transport_protocol == "tcp"


def put_before_http(made: Layer, is_wanted: Callable[[LayeredHttp], bool]) -> Layer:
    """Return the layers that mitmproxy has made, with ours before HTTP."""
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
