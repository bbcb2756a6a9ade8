"""mitmproxy's connections: what each waits for from its client, and how it is closed."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers import DNSLayer, http, modes
from mitmproxy.proxy.layers.tls import ClientTLSLayer
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.background.tasks import spawn
from proxy_policies.limits.unsent import Unsent
from proxy_policies.patches import ask_early, client_sides, closing_alerts
from proxy_policies.waits import NOT_WAITING, Stopwatch, Wait, Waiting

TLS_HANDSHAKE = 0x16
"""The first byte of a ClientHello's record (RFC 8446, section 5.1)."""
_HTTP_MODES = (modes.HttpProxy, modes.HttpUpstreamProxy, modes.ReverseProxy)


class MitmproxyConnection:
    """A client's connection that mitmproxy owns."""

    def __init__(self, handler: ConnectionHandler, now: float) -> None:
        self._handler = handler
        self._watch = Stopwatch(now)
        self._unsent = Unsent()
        self._is_ending = False
        self._inside: ClientTLSLayer | None = None
        """The TLS layer that its client set up last."""
        self.undecided: NextLayer | None = None
        """The layer that last asked for its client's protocol."""

    def expect_request(self, context: Context) -> None:
        """Note that the client has set up TLS: a request should follow."""
        layers = [layer for layer in context.layers if isinstance(layer, ClientTLSLayer)]
        self._inside = layers[-1] if layers else None

    def waits(self, now: float) -> tuple[Wait, float, int]:
        """Return what the connection waits for, for how many seconds, and how many bytes arrived meanwhile."""
        transport = self._transport()
        if transport is None or self._is_ending:
            return Wait.NOTHING, 0.0, 0
        side = client_sides.side_of(self._handler.client)
        stuck = self._since_when_unsent(transport, side, now)
        waiting = self._waiting(transport, side)
        wait, waited, received = self._watch.look(waiting, now)
        return (wait, waited, received) if stuck is None else (Wait.READER, now - stuck, 0)

    def _transport(self) -> Any:
        io = self._handler.transports.get(self._handler.client)
        return getattr(io.writer, "transport", None) if io else None

    def _since_when_unsent(self, transport: Any, side: client_sides.ClientSide | None, now: float) -> float | None:
        """Return since when the client has accepted no response data; None if none is waiting."""
        if side is None or side.is_tunnel:
            return None
        waiting = transport.get_write_buffer_size() + side.unsent()
        return self._unsent.since(now, waiting, transport.get_extra_info("socket"))

    def _waiting(self, transport: Any, side: client_sides.ClientSide | None) -> Waiting:
        client = self._handler.client
        if transport.is_closing() or self._is_origin_slow():
            return NOT_WAITING
        if client.tls and not client.tls_established:
            return Waiting(Wait.HANDSHAKE)
        for first in (_first_words(self.undecided), self._first_request()):
            if first is not None:
                return first
        if side is not None:
            return side.waiting()
        last = self._handler.layer.context.layers[-1]
        return _dns(last) if isinstance(last, DNSLayer) else _before_http(self._handler)

    def _first_request(self) -> Waiting | None:
        """Return the wait for the first request inside TLS; None once it has begun."""
        layer = self._inside.child_layer if self._inside is not None else None
        if not isinstance(layer, NextLayer) or layer.layer is not None:
            return None
        return Waiting(Wait.REQUEST)

    def _is_origin_slow(self) -> bool:
        """Return whether an origin does not accept data: then nothing is read from the client."""
        others = (io for connection, io in self._handler.transports.items() if connection != self._handler.client)
        return any(_unsent_bytes(io.writer) for io in others)

    def close(self, wait: Wait, waited: float) -> None:
        """Close the connection, and log why."""
        self._is_ending = True
        why = wait.reason(waited)
        if wait is not Wait.REQUEST:
            self._handler.client.error = why
        if wait is Wait.HEAD and self.undecided is not None and self.undecided.layer is None:
            _take_for_http(self.undecided)
        side = client_sides.side_of(self._handler.client)
        is_told = wait in (Wait.HEAD, Wait.BODY) or (wait is Wait.READER and self._transport() is None)
        if is_told and side is not None and not side.is_tunnel:
            spawn(self._handler.server_event(client_sides.time_out(side, why)))
            return
        self._handler.log(f"closing connection: {why}")
        if wait is Wait.READER and (transport := self._transport()) is not None:
            transport.abort()  # closing would wait for this client
        if wait is Wait.REQUEST:
            closing_alerts.close_idle(self._handler)
        else:
            self._cancel()

    def _cancel(self) -> None:
        io = self._handler.transports.get(self._handler.client)
        if io is not None and io.handler is not None:
            io.handler.cancel("timeout")
        elif (transport := self._transport()) is not None:
            transport.close()


class DatagramConnection(MitmproxyConnection):
    """A client that sends datagrams; whether it will send more cannot be known."""

    def waits(self, now: float) -> tuple[Wait, float, int]:
        """Return for how long the client has read nothing over HTTP/3; else for how long nothing was sent at all."""
        if self._is_ending:
            return Wait.NOTHING, 0.0, 0
        side = client_sides.side_of(self._handler.client)
        stuck = self._unsent.since(now, side.unsent()) if side is not None else None
        if stuck is not None:
            return Wait.READER, now - stuck, 0
        return Wait.DATAGRAM, time.time() - self._handler.timeout_watchdog.last_activity, 0


def _unsent_bytes(writer: Any) -> int:
    with contextlib.suppress(AttributeError):  # other kinds, for datagrams
        return int(writer.transport.get_write_buffer_size())
    return 0


def _first_words(undecided: NextLayer | None) -> Waiting | None:
    """Return the wait for a protocol's first bytes; None if it is known, or not awaited from the client only."""
    if undecided is None or undecided.layer is not None:
        return None
    if not (said := undecided.data_client()):
        is_silent = ask_early.is_tunnel(undecided.context) and not undecided.data_server()
        return Waiting(Wait.REQUEST) if is_silent else None
    if undecided._paused:  # an addon is deciding
        return NOT_WAITING
    return Waiting(Wait.HANDSHAKE if said[0] == TLS_HANDSHAKE else Wait.HEAD)


def _take_for_http(undecided: NextLayer) -> None:
    """Treat the bytes so far as the beginning of a request."""
    side = http.Http1Server(undecided.context)  # type: ignore[attr-defined]  # ours, which is put there
    side.buf += undecided.data_client()
    side.state = side.read_headers
    undecided.layer, undecided._handle = side, side.handle_event


def _dns(layer: DNSLayer) -> Waiting:
    """Return what a client that asks for names over TCP waits for; several of its questions may be unanswered."""
    if layer.req_buf:
        return Waiting(Wait.HEAD)
    flows = layer.flows.values()
    if not all(flow.response or flow.error for flow in flows):
        return NOT_WAITING
    return Waiting(Wait.REQUEST, which=max((flow.timestamp_created for flow in flows), default=0.0))


def _before_http(handler: ConnectionHandler) -> Waiting:
    """Return what is awaited before the protocol is known, in modes whose clients speak first."""
    layers: list[Any] = handler.layer.context.layers
    top = layers[0] if len(layers) == 1 else None
    if top is None or top._paused:
        return NOT_WAITING
    below = top._handle_event.__self__  # itself until it knows its destination
    if isinstance(top, modes.Socks5Proxy) and below is top:
        return Waiting(Wait.HEAD if top.buf else Wait.REQUEST)
    if not isinstance(top, _HTTP_MODES) or not isinstance(below, NextLayer) or below.layer is not None:
        return NOT_WAITING
    mode = handler.client.proxy_mode
    if isinstance(mode, ReverseMode) and mode.scheme not in ("http", "https", "tls", "dns"):
        return NOT_WAITING
    return Waiting(Wait.HEAD if below.data_client() else Wait.REQUEST)
