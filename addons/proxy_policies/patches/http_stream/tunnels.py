"""Answers CONNECT in upstream mode only once the next proxy has connected, and keeps half-closes of tunnels.

mitmproxy answers 200 at once, so an unreachable target looks like one that closes the connection. It also uses the next
proxy if an addon has removed that from the flow (`flow.server_conn.via`), which it respects for other requests.
"""

import functools
import re
import time

from mitmproxy import http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import TCPLayer
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http._base import HttpEvent
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpConnectedHook
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy

from proxy_policies.addresses import format_target
from proxy_policies.log_lines import printable
from proxy_policies.patch import Section

PASSED_ON_STATUSES = frozenset((403, 503, 504, 508))
"""Forbidden, unavailable, timed out, a loop. Not 407: the next proxy's credentials are ours, not the client's."""
_REFUSED = re.compile(r"refused HTTP CONNECT request: (\d{3})\b")


class RequestHalfClose(RequestEndOfMessage):
    """The client's side of an upgraded protocol has sent everything to the origin, and still receives."""


class Opener(layer.Layer):
    """Opens the connection for a tunnel's layers, and starts them once it is open."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        context.layers.remove(self)  # hide it from the choice of the next layer
        self.is_done = False
        self.error: str | None = None
        self._inside: layer.Layer | None = None

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        if self._inside is not None:
            yield from self._inside.handle_event(event)
        elif isinstance(event, events.Start):
            self.error = yield commands.OpenConnection(self.context.server)
            self.is_done = True
            if not self.error:
                self._inside = layer.NextLayer(self.context)
                yield from self._inside.handle_event(event)


def status_for(error: str) -> int:
    """Return the status to answer: the next proxy's own if that says more than 502 (Bad Gateway)."""
    refused = _REFUSED.search(error)
    return int(refused[1]) if refused and int(refused[1]) in PASSED_ON_STATUSES else 502


class ConnectsFirst(layers.HttpStream):
    """Answers CONNECT in upstream mode once the next proxy has connected."""

    _opener: Opener | None = None

    def handle_connect_upstream(self) -> CommandGenerator[None]:
        """Answer once the next proxy has connected; without a next proxy, connect directly."""
        if self.flow.server_conn.via is None:
            self.context.server = self.flow.server_conn
            yield from self.handle_connect_regular()  # type: ignore[no-untyped-call]
            return
        if self.flow.response or self.context.options.connection_strategy != "eager":
            yield from super().handle_connect_upstream()  # type: ignore[no-untyped-call]
            return
        stack = HttpUpstreamProxy.make(self.context, True)
        self._opener = Opener(self.context)
        stack /= self._opener
        self.child_layer = stack[0]
        self._handle_event = self._connecting
        yield from self._connecting(events.Start())

    def _connecting(self, event: events.Event) -> CommandGenerator[None]:
        if isinstance(event, HttpEvent) or self.child_layer is None or self._opener is None:
            return  # the client can only leave
        yield from self.child_layer.handle_event(event)
        if self._opener.error:
            yield from self._refuse(self._opener.error)
        elif self._opener.is_done:
            yield from self._confirm()

    def _refuse(self, error: str) -> CommandGenerator[None]:
        host, port, *_ = self.context.server.address or ("", 0)
        text = f"cannot connect to {format_target(host, port)}: {printable(error)}\n"
        fields = {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"}
        self.flow.response = http.Response.make(status_for(error), text, fields)
        self._handle_event = self.state_errored
        yield from self.handle_connect_finish()  # type: ignore[no-untyped-call]

    def _confirm(self) -> CommandGenerator[None]:
        now = time.time()
        version = self.flow.request.data.http_version
        response = http.Response(version, 200, b"Connection established", http.Headers(), b"", None, now, now)
        self.flow.response = response
        yield HttpConnectedHook(self.flow)
        self._handle_event = self.passthrough
        yield layers.SendHttp(ResponseHeaders(self.stream_id, response, end_stream=True), self.context.client)
        yield layers.SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)


class HalfCloses(layers.HttpStream):
    """Keeps half-closes of tunnels: one side may end its half and still receive.

    mitmproxy turns that into a full close inside CONNECT and after an upgrade, and the other side's data is lost.
    """

    def passthrough(self, event: events.Event) -> CommandGenerator[None]:
        """Pass events to a tunnel's layers, and their commands out, keeping half-closes."""
        is_upgrade = isinstance(self.child_layer, TCPLayer)
        if self.child_layer is None or not (is_upgrade or self._is_connect):
            yield from super().passthrough(event)
            return
        for command in self.child_layer.handle_event(self._in_tunnel(event)):
            yield self._out_of_tunnel(command, is_upgrade)

    @functools.cached_property
    def _is_connect(self) -> bool:
        return bool(self.flow.request.method.upper() == "CONNECT")

    def _in_tunnel(self, event: events.Event) -> events.Event:
        if isinstance(event, RequestData):
            return events.DataReceived(self.context.client, event.data)
        if isinstance(event, RequestEndOfMessage | RequestProtocolError):
            return events.ConnectionClosed(self.context.client)
        if isinstance(event, ResponseData):
            return events.DataReceived(self.context.server, event.data)
        if isinstance(event, ResponseEndOfMessage):
            return events.ConnectionClosed(self.context.server)
        return event

    def _out_of_tunnel(self, command: commands.Command, is_upgrade: bool) -> commands.Command:
        if not isinstance(command, commands.ConnectionCommand):
            return command
        if command.connection != self.context.client:
            return self._to_server(command) if is_upgrade else command
        if _is_half_close(command):
            return command
        if isinstance(command, commands.SendData):
            return layers.SendHttp(ResponseData(self.stream_id, command.data), command.connection)
        if isinstance(command, commands.CloseConnection):
            end = ResponseProtocolError(self.stream_id, "EOF", ErrorCode.PASSTHROUGH_CLOSE)
            return layers.SendHttp(end, command.connection)
        return command

    def _to_server(self, command: commands.ConnectionCommand) -> commands.Command:
        """Send through the HTTP connection that was upgraded: any TLS with the origin is below that."""
        if _is_half_close(command):
            return layers.SendHttp(RequestHalfClose(self.stream_id), command.connection)
        if isinstance(command, commands.SendData):
            return layers.SendHttp(RequestData(self.stream_id, command.data), command.connection)
        if isinstance(command, commands.CloseConnection):
            end = RequestProtocolError(self.stream_id, "EOF", ErrorCode.PASSTHROUGH_CLOSE)
            return layers.SendHttp(end, command.connection)
        return command


def _is_half_close(command: commands.Command) -> bool:
    return isinstance(command, commands.CloseTcpConnection) and command.half_close


SECTIONS = (
    Section(
        mixin=ConnectsFirst,
        why="CONNECT through an upstream proxy is answered before the proxy has connected",
        upstream=(
            "not reported: `mitmdump --mode upstream:http://127.0.0.1:9`, then `curl -px 127.0.0.1:8080 "
            "http://example.com`: 200, and a reset"
        ),
        remove_when=(
            "`handle_connect_upstream` opens the connection before it answers, as `handle_connect_regular` does"
        ),
        test="tests/e2e/passthrough/test_connect.py::test_an_upstream_proxy_is_asked_before_the_answer",
    ),
    Section(
        mixin=HalfCloses,
        why="a half-closed tunnel loses data that the other side still sends",
        upstream=(
            'not reported, but known to `HttpStream.passthrough` ("just always full close for now"): shut down '
            "one half of a CONNECT tunnel, and keep reading"
        ),
        remove_when="`HttpStream.passthrough` passes on a half-close",
        test="tests/e2e/passthrough/test_connect.py::test_a_half_close_stays_one",
    ),
)
