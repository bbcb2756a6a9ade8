"""Responses too large for memory: their bodies are read from the store at the client's pace.

mitmproxy sends an addon's response in one go. Here a response whose `FlowState.source` is set is sent piece by piece:
before each, the hook `stored_body` waits until the client has accepted the previous one, and reads the next.
"""

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass, field

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

from proxy_policies import flow_state
from proxy_policies.patch import Section
from proxy_policies.patches.client_handlers import writer_to
from proxy_policies.streaming.stream import PAUSE

UNSENT_LIMIT = 256 * 1024
"""Bytes that may wait for an HTTP/2 client's flow-control window before the next piece is read."""
POLL = 0.02
"""Seconds between checks of such a window: mitmproxy has no event for its opening."""


@dataclass
class Wanted:
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
    """The body has ended, or is no longer wanted: close the source."""


@dataclass
class StoredBodyHook(StartHook):
    """A piece of a stored body is wanted."""

    wanted: Wanted


async def provide(wanted: Wanted) -> None:
    """Wait until the client has accepted what it was sent, and read the next piece."""
    if wanted.over:
        if wanted.reading is not None:
            wanted.reading.cancel()
            await asyncio.wait({wanted.reading})
        await wanted.source.close()
        return
    try:
        await _taken(wanted)
        wanted.piece = await _next_piece(wanted)
    except OSError as error:
        wanted.error = str(error) or type(error).__name__


async def _next_piece(wanted: Wanted) -> bytes | None:
    if wanted.reading is None and not wanted.holds_back():
        return await wanted.source.read()
    reading = wanted.reading or asyncio.ensure_future(wanted.source.read())
    await asyncio.wait({reading}, timeout=PAUSE if wanted.holds_back() else None)
    wanted.reading = None if reading.done() else reading
    return reading.result() if reading.done() else None


async def _taken(wanted: Wanted) -> None:
    client = wanted.flow.client_conn
    if (writer := writer_to(client)) is not None:
        await writer.drain()
    while wanted.unsent() > UNSENT_LIMIT and client.connected:  # noqa: ASYNC110 -- h2 has no event for it
        await asyncio.sleep(POLL)


class StoredBodies(HttpStream):
    """A request and its response, whose body may be stored."""

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
    """Pass request data on to a tap that answers the request before it is complete, and note if its client leaves."""
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
    yield from _send(stream, response, _wanted(stream, source))


def _wanted(stream: HttpStream, source: flow_state.Source) -> Wanted:
    pipeline = flow_state.state_of(stream.flow).response_body
    return Wanted(stream.flow, source, functools.partial(_unsent, stream), lambda: pipeline.holds_back)


def _send(stream: HttpStream, response: http.Response, wanted: Wanted) -> CommandGenerator[None]:
    pipeline, client = flow_state.state_of(stream.flow).response_body, stream.context.client
    killed = yield from stream.check_killed(False)
    if not killed:
        yield SendHttp(ResponseHeaders(stream.stream_id, response, end_stream=False), client)
    while not (killed or wanted.over):
        yield StoredBodyHook(wanted)
        killed = yield from stream.check_killed(False)
        if killed:
            break
        if wanted.error:  # send what was read before the error
            yield from (SendHttp(ResponseData(stream.stream_id, part), client) for part in pipeline.flush())
            break
        for piece in pipeline.flush() if wanted.piece is None else pipeline.stream(wanted.piece):
            yield SendHttp(ResponseData(stream.stream_id, piece), client)
        wanted.over = wanted.piece == b""
    yield from _finish(stream, wanted, killed)


def _finish(stream: HttpStream, wanted: Wanted, killed: bool) -> CommandGenerator[None]:
    flow_state.state_of(stream.flow).response_body.abort()  # no effect if the body is complete
    wanted.over = True
    yield StoredBodyHook(wanted)
    if wanted.error and not killed:
        message = f"the stored body could not be read: {wanted.error}"
        error = ResponseProtocolError(stream.stream_id, message, ErrorCode.GENERIC_SERVER_ERROR)
        yield SendHttp(error, stream.context.client)
        stream.flow.live = False
        stream.server_state = stream.state_errored
    elif not killed:
        if stream.flow.response and (trailers := stream.flow.response.trailers):
            yield SendHttp(ResponseTrailers(stream.stream_id, trailers), stream.context.client)
        if stream.client_state == stream.state_done:
            yield from stream.flow_done()


def _unsent(stream: HttpStream) -> int:
    """Count the bytes that wait for an HTTP/2 client's window; 0 with HTTP/1."""
    layers = stream.context.layers
    parent = layers[layers.index(stream) - 1] if stream in layers else None
    if not isinstance(parent, HttpLayer):
        return 0
    h2 = getattr(parent.connections.get(stream.context.client), "h2_conn", None)
    waiting = getattr(h2, "stream_buffers", {}).get(stream.stream_id, ())
    return sum(len(part.data) for part in waiting)


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
