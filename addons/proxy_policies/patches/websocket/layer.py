"""Reads messages of a WebSocket client and its server, shows them to addons and passes them on, in turns.

mitmproxy copies the received part of a message whenever more of it arrives, decompresses and compresses messages of any
size in one turn of the event loop, and reads on meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from mitmproxy import http, websocket
from mitmproxy.connection import Client
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import websocket as layers
from mitmproxy.proxy.layers.websocket import (
    WebsocketConnection,
    WebsocketEndHook,
    WebsocketLayer,
    WebsocketMessageHook,
    WebSocketMessageInjected,
)
from wsproto import events as ws
from wsproto.connection import ConnectionState
from wsproto.frame_protocol import Opcode

from proxy_policies.patch import Patch
from proxy_policies.patches.generators import in_place_of
from proxy_policies.patches.turns import hold, off_loop, take_turn
from proxy_policies.patches.websocket import messages
from proxy_policies.patches.websocket.fragments import Fragments, Whole, cut

PER_TURN = 16
"""Messages and pings handled in one turn of the event loop: some milliseconds."""
PORTION = 64 << 10
"""Bytes of a message that count as one more."""
COMPRESSED_PORTION = 1 << 10
"""Bytes of possibly compressed data read at once: they unpack to 1 MiB at most, in some 2 ms."""
COMPRESS_IN_THREAD = 256 << 10
"""Bytes from which a frame is compressed in a thread, not in the event loop: zlib takes some 10 ms for them."""


class Turns:
    """Counts the work done on data read at once; reading more takes a turn of the event loop anyway."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._done = 0.0

    def begin(self) -> None:
        """Note that data was read."""
        self._done = 0.0

    def spend(self, size: int) -> bool:
        """Count work on this many bytes; return whether it is the others' turn."""
        self._done += 1 + size / PORTION
        return self._done >= PER_TURN

    def take(self) -> CommandGenerator[None]:
        """Let others take their turn."""
        self._done = 0.0
        yield from take_turn(self._client)


def read(side: WebsocketConnection, data: bytes | None, portion: int = PORTION) -> Iterator[ws.Event]:
    """Yield a peer's events from bytes, read in portions, or from an end of file (None)."""
    if data is None:
        side.receive_data(None)
        yield from side.events()
        return
    for at in range(0, len(data), portion):
        if side.state in (ConnectionState.REMOTE_CLOSING, ConnectionState.CLOSED):
            return
        side.receive_data(data[at : at + portion])
        yield from side.events()


def size_of(event: ws.Event) -> int:
    """Return how many bytes or characters of a message are in an event."""
    return len(event.data) if isinstance(event, ws.Message) else 0


def show(
    flow: http.HTTPFlow, whole: Whole, from_client: bool, injected: bool = False
) -> CommandGenerator[Whole | None]:
    """Show a message to addons; return it as they leave it, None if dropped."""
    kind = Opcode.TEXT if whole.is_text else Opcode.BINARY
    message = websocket.WebSocketMessage(kind, from_client, whole.content, injected=injected)
    assert flow.websocket is not None  # noqa: S101 -- mitmproxy sets it before it makes the layer
    flow.websocket.messages.append(message)
    yield from hold(flow.client_conn, WebsocketMessageHook(flow))
    if message.dropped:
        return None
    return whole if message.content is whole.content else whole._replace(content=message.content)


def send(side: WebsocketConnection, whole: Whole, turns: Turns, client: Client) -> CommandGenerator[None]:
    """Send a message in its frames."""
    for data, is_last in cut(whole):
        event: ws.Event = (
            ws.TextMessage(data, message_finished=is_last)
            if isinstance(data, str)
            else ws.BytesMessage(data, message_finished=is_last)
        )
        if len(data) < COMPRESS_IN_THREAD:
            yield side.send2(event)
        else:
            packed = yield from off_loop(client, lambda event=event: side.send(event))  # type: ignore[misc]
            yield commands.SendData(side.conn, packed)
        if turns.spend(len(data)):
            yield from turns.take()


class RelayedWebSocket(WebsocketLayer):
    """A WebSocket connection between a client and a server."""

    def __init__(self, context: Context, flow: http.HTTPFlow) -> None:
        super().__init__(context, flow)
        self._fragments = {True: Fragments(), False: Fragments()}
        self._turns = Turns(context.client)
        extensions = flow.response.headers.get("sec-websocket-extensions", "") if flow.response else ""
        self._portion = COMPRESSED_PORTION if "permessage-deflate" in extensions else PORTION

    def relay_messages(self, event: events.Event) -> CommandGenerator[None]:
        """Handle data from one side, or a message injected for it."""
        if isinstance(event, WebSocketMessageInjected):
            message = event.message
            yield from self._pass_on(Whole(message.content, message.type is Opcode.TEXT), message.from_client, True)
        elif isinstance(event, events.ConnectionEvent):
            from_client = event.connection == self.context.client
            data = event.data if isinstance(event, events.DataReceived) else None
            self._turns.begin()
            for received in read(self._side(from_client), data, self._portion):
                yield from self._take(received, from_client)
                if self._turns.spend(size_of(received)):
                    yield from self._turns.take()
                if not self.flow.live:
                    return

    def _side(self, is_client: bool) -> WebsocketConnection:
        return self.client_ws if is_client else self.server_ws

    def _take(self, event: ws.Event, from_client: bool) -> CommandGenerator[None]:
        if isinstance(event, ws.Message):
            whole = self._fragments[from_client].add(event.data, event.frame_finished, event.message_finished)
            if whole is not None:
                yield from self._pass_on(whole, from_client)
        elif isinstance(event, ws.CloseConnection):
            yield from self._close(event, from_client)
        elif isinstance(event, (ws.Ping, ws.Pong)):
            kind, side = type(event).__name__.lower(), "client" if from_client else "server"
            yield commands.Log(f"Received WebSocket {kind} from {side} (payload: {bytes(event.payload)!r})")
            yield self._side(not from_client).send2(event)

    def _pass_on(self, whole: Whole, from_client: bool, injected: bool = False) -> CommandGenerator[None]:
        left = yield from show(self.flow, whole, from_client, injected)
        if left is not None:
            yield from send(self._side(not from_client), left, self._turns, self.context.client)

    def _close(self, event: ws.CloseConnection, from_client: bool) -> CommandGenerator[None]:
        """Close both sides, passing on the close frame received."""
        shown = self.flow.websocket
        assert shown is not None  # noqa: S101 -- as above
        shown.timestamp_end, shown.closed_by_client = time.time(), from_client
        shown.close_code, shown.close_reason = event.code, event.reason
        for side in (self.server_ws, self.client_ws):
            if side.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
                yield side.send2(event)
            yield commands.CloseConnection(side.conn)
        yield WebsocketEndHook(self.flow)
        self.flow.live = False
        self._handle_event = self.done


PATCH = Patch(
    owner=layers,
    attribute="WebsocketLayer",
    wrap=in_place_of(RelayedWebSocket),
    seen_on="12.2.1 to 12.3.1",
    why="WebSocket messages that are large, or arrive in many pieces, block all other clients",
    upstream=(
        "not reported: send a WebSocket message of 16 MiB in 16 384 TCP segments: 15 s of CPU; or send 60 000 pings "
        "at once, and request a page meanwhile"
    ),
    remove_when=(
        "mitmproxy assembles messages in linear time, and bounds both them and its work for a connection in one turn "
        "of the event loop"
    ),
    test="tests/e2e/limits/test_fairness.py::test_tiny_websocket_frames_leave_others_their_turn",
    source_sha256={"12.2.1 to 12.3.1": "9e072272a1d0c1c60137d0f23548055fcd6c2eac1cedffc56bf454f6c2ad216b"},
    companions=messages.COMPANIONS,
)
