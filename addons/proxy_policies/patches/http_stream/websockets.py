"""WebSocket connections without a server, and how WebSocket connections end (RFC 6455).

mitmproxy can only connect a client with a server. If an addon answered the handshake itself and set a responder, the
client communicates with that; messages are shown and hooks triggered as usual.
"""

import math
import time
from typing import Protocol
from weakref import WeakKeyDictionary

from mitmproxy import http, websocket
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import websocket as layers
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    ResponseData,
    ResponseEndOfMessage,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.websocket import WebsocketEndHook, WebsocketLayer, WebsocketStartHook
from wsproto import ConnectionType
from wsproto import events as ws
from wsproto.connection import ConnectionState
from wsproto.frame_protocol import CloseReason

from proxy_policies.patch import Section
from proxy_policies.patches import resets
from proxy_policies.patches.lingering import ClosedByProxy
from proxy_policies.patches.websocket.fragments import Fragments, Whole
from proxy_policies.patches.websocket.layer import Turns, read, send, show, size_of

REASON_LIMIT = 123
"""Bytes of a close frame's reason (RFC 6455, section 5.5)."""

CloseFrame = tuple[int, str]
"""The code and the reason of a close frame."""
PendingMessage = tuple[float, bool, bytes]
"""A message from the server: seconds since the previous one, whether it is text, and its bytes."""


class WebSocketResponder(Protocol):
    """Responds to a client's messages in place of a server."""

    def pending(self) -> PendingMessage | None:
        """Return the server's next message before the client continues; None if there is none."""

    def sent(self) -> None:
        """Note that the pending message has been sent."""

    def on_message(self, text: bool, data: bytes) -> CloseFrame | None:
        """Receive a message from the client; return a close frame if it is unexpected."""

    def close_frame(self) -> CloseFrame | None:
        """Return the server's close frame if it closes the connection now."""

    def on_close(self) -> None:
        """Note that the connection has ended."""


_responders: WeakKeyDictionary[http.HTTPFlow, WebSocketResponder] = WeakKeyDictionary()


def set_responder(flow: http.HTTPFlow, responder: WebSocketResponder) -> None:
    """Set what responds on a connection whose handshake was answered here."""
    _responders[flow] = responder


class ServerlessWebSocket(layer.Layer):
    """A WebSocket connection of a client, with a responder in place of the server."""

    def __init__(self, context: Context, flow: http.HTTPFlow, responder: WebSocketResponder) -> None:
        super().__init__(context)
        self.flow, self._responder = flow, responder
        self._client = layers.WebsocketConnection(ConnectionType.SERVER, [], conn=context.client)
        self._fragments, self._turns = Fragments(), Turns(context.client)
        self._wake: commands.RequestWakeup | None = None

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Send the responder's first messages, then receive from the client; ignore messages injected for a server."""
        if isinstance(event, events.Start):
            yield WebsocketStartHook(self.flow)
            yield from self._send_due()
        elif isinstance(event, events.Wakeup):
            if event.command is self._wake and self._is_open():
                yield from self._send_due(due=1)
        elif isinstance(event, events.ConnectionEvent) and event.connection is self.context.client:
            yield from self._receive(event.data if isinstance(event, events.DataReceived) else None)

    def _receive(self, data: bytes | None) -> layer.CommandGenerator[None]:
        """Handle bytes from the client, or its end of file."""
        if not self._is_open():
            return
        for received in read(self._client, data):
            yield from self._take(received)
            if self._turns.spend(size_of(received)):
                yield from self._turns.take()
            if not self._is_open():
                return

    def _is_open(self) -> bool:
        return self.flow.live

    def _take(self, event: ws.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, ws.Message):
            whole = self._fragments.add(event.data, event.frame_finished, event.message_finished)
            if whole is not None:
                yield from self._on_message(whole)
        elif isinstance(event, ws.Ping):
            yield self._client.send2(event.response())
        elif isinstance(event, ws.CloseConnection):
            yield from self._end((event.code, event.reason or ""), by_client=True)

    def _on_message(self, whole: Whole) -> layer.CommandGenerator[None]:
        yield from self._send_due(due=math.inf)  # these were recorded before this message
        if not self._is_open():
            return
        left = yield from show(self.flow, whole, from_client=True)
        close_frame = self._responder.on_message(left.is_text, left.content) if left else None
        if close_frame:
            yield from self._end(close_frame, by_client=False)
        else:
            yield from self._send_due()

    def _send_due(self, due: float = 0) -> layer.CommandGenerator[None]:
        """Send up to `due` messages, and those that need not wait."""
        self._wake = None
        while (pending := self._responder.pending()) is not None:
            seconds, text, data = pending
            if seconds and due < 1:
                self._wake = commands.RequestWakeup(seconds)
                yield self._wake
                return
            due -= 1
            self._responder.sent()
            yield from self._send_message(Whole(data, text, (len(data),)))
            if self._turns.spend(len(data)):
                yield from self._turns.take()
        if close_frame := self._responder.close_frame():
            yield from self._end(close_frame, by_client=False)

    def _send_message(self, whole: Whole) -> layer.CommandGenerator[None]:
        left = yield from show(self.flow, whole, from_client=False)
        if left is not None:
            yield from send(self._client, left, self._turns, self.context.client)

    def _end(self, close_frame: CloseFrame, *, by_client: bool) -> layer.CommandGenerator[None]:
        code, reason = close_frame
        shown = self._socket
        shown.timestamp_end, shown.closed_by_client = time.time(), by_client
        shown.close_code, shown.close_reason = code, reason
        if code != CloseReason.ABNORMAL_CLOSURE:  # which means that no close frame was received
            cut = reason.encode()[:REASON_LIMIT].decode(errors="ignore")
            yield self._client.send2(ws.CloseConnection(code, cut or None))
        yield commands.CloseConnection(self.context.client)
        self._responder.on_close()
        yield WebsocketEndHook(self.flow)
        self.flow.live = False

    @property
    def _socket(self) -> websocket.WebSocketData:
        assert self.flow.websocket is not None  # noqa: S101 -- mitmproxy sets it before it makes the layer
        return self.flow.websocket


class ServerlessWebSockets(HttpStream):
    """Connects the client with a responder after a WebSocket handshake."""

    def flow_done(self) -> CommandGenerator[None]:
        """End the exchange; start the responder, if there is one."""
        responder = _responders.get(self.flow)
        if responder is None or self.flow.websocket is None:
            yield from super().flow_done()
            return
        self.child_layer = ServerlessWebSocket(self.context, self.flow, responder)
        self._handle_event = self.passthrough
        yield from self.child_layer.handle_event(events.Start())
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)


class WebSocketEnds(HttpStream):
    """Ends WebSocket connections as RFC 6455, section 7, requires.

    If a connection breaks without a close frame, mitmproxy sends the other side a normal closure (1000). If it closes
    one itself, for a fault or a message too big, it closes the socket at once, even if the client is still sending.
    """

    def passthrough(self, event: events.Event) -> CommandGenerator[None]:
        """Pass events in and commands out; once the connection has broken, send nothing more."""
        for command in super().passthrough(event):
            if _is_end(command) and self._is_closed_by_us:
                yield SendHttp(ClosedByProxy(self.stream_id, "EOF", ErrorCode.PASSTHROUGH_CLOSE), self.context.client)
            elif not self._is_broken:
                yield command
            elif not _is_data(command):
                if isinstance(command, SendHttp):
                    resets.withhold_alert(command.connection)
                yield command

    @property
    def _is_closed_by_us(self) -> bool:
        """Return whether we sent a close frame to both sides, and neither has sent one."""
        layer = self.child_layer
        if not isinstance(layer, WebsocketLayer):
            return False
        return all(side.state is ConnectionState.LOCAL_CLOSING for side in (layer.client_ws, layer.server_ws))

    @property
    def _is_broken(self) -> bool:
        socket = self.flow.websocket
        return socket is not None and socket.close_code == CloseReason.ABNORMAL_CLOSURE


def _is_end(command: commands.Command) -> bool:
    return isinstance(command, SendHttp) and isinstance(command.event, ResponseProtocolError)


def _is_data(command: commands.Command) -> bool:
    return isinstance(command, SendHttp) and isinstance(command.event, RequestData | ResponseData)


SECTIONS = (
    Section(
        mixin=ServerlessWebSockets,
        why="a WebSocket handshake that an addon answers has no server to talk to",
        upstream="not reported, a feature: set a 101 in `request`: the client's first message crashes the layer",
        remove_when="mitmproxy lets an addon act as the server of a WebSocket connection",
        test="tests/e2e/capture/test_websocket.py::test_a_conversation_is_replayed_without_a_server",
    ),
    Section(
        mixin=WebSocketEnds,
        why="a broken WebSocket connection looks normally closed to the other side; reasons for closing get lost",
        upstream="not reported: kill a WebSocket server: its client is sent 1000 (normal closure)",
        remove_when="mitmproxy sends no close frame if it received none",
        test="tests/e2e/messages/test_upgrades.py::test_a_websocket_that_broke_was_not_closed",
    ),
)
