"""Sends responses too large for memory: their bodies are read from the store at the client's speed.

mitmproxy sends an addon's response in one go. Here a response whose `FlowState.source` is set is sent piece by piece:
before each, the hook `stored_body` waits until the client has accepted the previous one, and reads the next.
"""

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mitmproxy import http
from mitmproxy.proxy import events
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpLayer, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseData,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)
from mitmproxy.proxy.layers.http._hooks import HttpResponseHook

from proxy_policies.flows import flow_state
from proxy_policies.patch import Section
from proxy_policies.patches.client_handlers import writer_to
from proxy_policies.streaming.stream import PAUSE

UNSENT_LIMIT = 256 * 1024
"""Bytes that may wait for a client's flow-control window before the next piece is read."""
POLL = 0.02
"""Seconds between checks of such a window: mitmproxy has no event for its opening."""


@dataclass
class PieceRequest:
    """A request for the next piece of a stored body; `stored_body` fills it in."""

    flow: http.HTTPFlow
    source: flow_state.Source
    unsent: Callable[[], int]
    """How many bytes still wait for the client's flow-control window."""
    holds_back: Callable[[], bool]
    """Whether some of the data read is held back until there is more."""
    piece: bytes | None = b""
    """b"" at the end; None if the next piece takes long, so that held-back data should be sent."""
    reading: asyncio.Future[bytes] | None = None
    error: str = ""
    over: bool = field(default=False)
    """The body has ended, or is no longer needed: close the source."""


@dataclass
class StoredBodyHook(StartHook):
    """A piece of a stored body is to be read."""

    piece_request: PieceRequest


async def fill(piece_request: PieceRequest) -> None:
    """Wait until the client has accepted what it was sent, and read the next piece."""
    if piece_request.over:
        if piece_request.reading is not None:
            piece_request.reading.cancel()
            await asyncio.wait({piece_request.reading})
        await piece_request.source.close()
        return
    try:
        await _wait_for_client(piece_request)
        piece_request.piece = await _next_piece(piece_request)
    except OSError as error:
        piece_request.error = str(error) or type(error).__name__


async def _next_piece(piece_request: PieceRequest) -> bytes | None:
    if piece_request.reading is None and not piece_request.holds_back():
        return await piece_request.source.read()
    reading = piece_request.reading or asyncio.ensure_future(piece_request.source.read())
    await asyncio.wait({reading}, timeout=PAUSE if piece_request.holds_back() else None)
    piece_request.reading = None if reading.done() else reading
    return reading.result() if reading.done() else None


async def _wait_for_client(piece_request: PieceRequest) -> None:
    client = piece_request.flow.client_conn
    if (writer := writer_to(client)) is not None:
        await writer.drain()
    while piece_request.unsent() > UNSENT_LIMIT and client.connected:  # noqa: ASYNC110 -- there is no event for it
        await asyncio.sleep(POLL)


class StoredBodies(HttpStream):
    """Sends a response from its source, if it has one."""

    def handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Note what the client does while a piece is awaited: until it arrives, no event is handled."""
        if isinstance(event, _CLIENT_EVENTS) and (flow := getattr(self, "flow", None)) is not None:
            _note(event, flow_state.state_of(flow))
        handling: CommandGenerator[None] = super().handle_event(event)
        return handling

    def send_response(self, already_streamed: bool = False) -> CommandGenerator[None]:
        """Send a response: from its source, if it has one."""
        source, response = flow_state.state_of(self.flow).source, self.flow.response
        if source is None or response is None or already_streamed:
            sending: CommandGenerator[None] = super().send_response(already_streamed)
            return sending
        return _send_stored(self, response, source)


_CLIENT_EVENTS = (RequestData, RequestEndOfMessage, RequestProtocolError)


def _note(event: events.Event, state: flow_state.FlowState) -> None:
    """Pass request data to a tap that answers the request before it is complete, and note if the client disconnects."""
    tap = state.early_request
    if isinstance(event, RequestProtocolError):
        state.client_left = state.client_left or state.source is not None
        if tap is not None:
            tap.abort()
    elif tap is not None and isinstance(event, RequestData):
        tap.feed(event.data)
    elif tap is not None:
        tap.finish()


def _send_stored(stream: HttpStream, response: http.Response, source: flow_state.Source) -> CommandGenerator[None]:
    yield HttpResponseHook(stream.flow)
    stream.server_state = stream.state_done
    response.raw_content = None
    yield from _send(stream, response, _piece_request(stream, source))


def _piece_request(stream: HttpStream, source: flow_state.Source) -> PieceRequest:
    pipeline = flow_state.state_of(stream.flow).response_body
    return PieceRequest(stream.flow, source, functools.partial(unsent_in_windows, stream), lambda: pipeline.holds_back)


def _send(stream: HttpStream, response: http.Response, piece_request: PieceRequest) -> CommandGenerator[None]:
    pipeline, client = flow_state.state_of(stream.flow).response_body, stream.context.client
    killed = yield from stream.check_killed(False)
    if not killed:
        yield SendHttp(ResponseHeaders(stream.stream_id, response, end_stream=False), client)
    while not (killed or piece_request.over):
        yield StoredBodyHook(piece_request)
        killed = yield from stream.check_killed(False)
        if killed:
            break
        if piece_request.error:  # send what was read before the error
            yield from (SendHttp(ResponseData(stream.stream_id, part), client) for part in pipeline.flush())
            break
        for piece in pipeline.flush() if piece_request.piece is None else pipeline.stream(piece_request.piece):
            yield SendHttp(ResponseData(stream.stream_id, piece), client)
        piece_request.over = piece_request.piece == b""
    yield from _finish(stream, piece_request, killed)


def _finish(stream: HttpStream, piece_request: PieceRequest, killed: bool) -> CommandGenerator[None]:
    flow_state.state_of(stream.flow).response_body.abort()  # no effect if the body is complete
    piece_request.over = True
    yield StoredBodyHook(piece_request)
    if piece_request.error and not killed:
        message = f"the stored body could not be read: {piece_request.error}"
        error = ResponseProtocolError(stream.stream_id, message, ErrorCode.GENERIC_SERVER_ERROR)
        yield SendHttp(error, stream.context.client)
        stream.flow.live = False
        stream.server_state = stream.state_errored
    elif not killed:
        if stream.flow.response and (trailers := stream.flow.response.trailers):
            yield SendHttp(ResponseTrailers(stream.stream_id, trailers), stream.context.client)
        if stream.client_state == stream.state_done:
            yield from stream.flow_done()


def unsent_in_windows(stream: HttpStream) -> int:
    """Count the bytes that wait for the window of an HTTP/2 or HTTP/3 client; 0 with HTTP/1."""
    layers = stream.context.layers
    parent = layers[layers.index(stream) - 1] if stream in layers else None
    if not isinstance(parent, HttpLayer):
        return 0
    side: Any = parent.connections.get(stream.context.client)
    return side.unsent_of(stream.stream_id) if hasattr(side, "unsent_of") else 0


SECTIONS = (
    Section(
        mixin=StoredBodies,
        why="an addon's response is sent in one go, however large it is",
        upstream=(
            "not reported, a feature: set `flow.response` with 1 GiB in `request`: it is in memory twice, whatever "
            "`stream` says"
        ),
        remove_when="`response.stream` accepts an asynchronous source for an addon's response",
        test="tests/e2e/cache/test_bodies.py::test_a_large_hit_is_not_read_ahead_of_a_slow_client",
    ),
)
