"""Setting up mitmproxy's layers in the middle of an exchange, as if they had had it from the beginning. Tried on 12.2.

Whatever is not plain goes on there. The sides of the HTTP layer are given again what came and went, and what they make
of it is dropped, for it was done; the stream is put where the exchange is: waiting for a hook, or for the origin.
"""

from __future__ import annotations

import time

from mitmproxy import http
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.events import DataReceived
from mitmproxy.proxy.layer import CommandGenerator, Paused
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    ResponseData,
    ResponseHeaders,
)

from proxy_policies.fastlane.express.passage import RAW_VERSION, Passage, Sent
from proxy_policies.patches.answers import Answers


def at_request_head(passage: Passage, hook: StartHook) -> None:
    """Let the layers wait for the hook about the request's head."""
    stream = _received(passage)
    _wait(passage, stream, hook, _after_request_head(stream, passage.is_bare))
    stream._paused_event_queue.extend(_body(stream.stream_id, passage.head.body))


def at_request(passage: Passage, hook: StartHook) -> None:
    """Let the layers wait for the hook about the whole request."""
    stream, data = _received(passage), passage.flow.request.data
    stream.client_state = stream.state_consume_request_body
    stream.server_state = stream.state_wait_for_response_headers
    kept = data.content, data.timestamp_end
    ending = stream.state_consume_request_body(RequestEndOfMessage(stream.stream_id))
    next(ending)  # up to the hook
    data.content, data.timestamp_end = kept
    _wait(passage, stream, hook, ending)


def at_origin(passage: Passage) -> None:
    """Let the layers wait for the origin."""
    _forwarded(passage)


def at_response_head(passage: Passage, hook: StartHook) -> None:
    """Let the layers wait for the hook about the response's head."""
    stream = _forwarded(passage)
    if passage.sent is None:
        _wait(passage, stream, hook, _after_answer(stream))
        return
    rest = [event for event in _replayed(passage) if not isinstance(event, ResponseHeaders)]
    is_bare = passage.response is not None and passage.response.size == 0
    _wait(passage, stream, hook, _after_response_head(stream, is_bare))
    stream._paused_event_queue.extend(rest)


def at_response_body(passage: Passage) -> None:
    """Let the layers wait for the rest of the response's body."""
    stream = _forwarded(passage)
    for event in _replayed(passage):
        if isinstance(event, ResponseData):
            stream.response_body_buf += event.data
    stream.server_state = stream.state_consume_response_body


def at_response(passage: Passage, hook: StartHook) -> None:
    """Let the layers wait for the hook about the whole response."""
    stream, response = _forwarded(passage), passage.flow.response
    _replayed(passage)
    ended = response.timestamp_end if response else None
    sending = stream.send_response()
    next(sending)  # up to the hook
    if response:
        response.timestamp_end = ended
    _wait(passage, stream, hook, sending)


def _received(passage: Passage) -> Answers:
    """Make the stream of a request that has come whole."""
    layer, side = passage.place.layer, passage.place.side
    passage.place.occupy(False)
    for _ in side.handle_event(DataReceived(side.conn, passage.received)):
        pass  # the request: we have it
    for _ in layer.make_stream(side.stream_id):
        pass
    stream = layer.streams[side.stream_id]
    assert isinstance(stream, Answers)  # noqa: S101 -- the patches are in place, as the side is one of theirs
    stream.flow = passage.flow
    return stream


def _forwarded(passage: Passage) -> Answers:
    """Make the stream of a request that has been sent, or answered here."""
    stream = _received(passage)
    stream.client_state = stream.state_done
    stream.server_state = stream.state_wait_for_response_headers
    if passage.sent is not None:
        stream.context.server = passage.sent.upstream.connection
        for event in _request(stream.stream_id, passage.sent):
            for _ in passage.sent.upstream.side.handle_event(event):
                pass  # the bytes: they are sent
    return stream


def _request(stream_id: int, sent: Sent) -> list[HttpEvent]:
    headers = http.Headers(sent.fields)
    request = http.Request(
        *("", 0, sent.method, b"http", b"", sent.path, RAW_VERSION, headers),
        *(sent.body, None, time.time(), None),
    )
    return [RequestHeaders(stream_id, request, not sent.body), *_body(stream_id, sent.body)]


def _body(stream_id: int, body: bytes) -> list[HttpEvent]:
    data: list[HttpEvent] = [RequestData(stream_id, body)] if body else []
    return [*data, RequestEndOfMessage(stream_id)]


def _replayed(passage: Passage) -> list[HttpEvent]:
    """Return the side towards the origin what came from there; what it makes of it."""
    if passage.sent is None:
        return []
    upstream, data = passage.sent.upstream, b"".join(passage.answered)
    made = upstream.side.handle_event(DataReceived(upstream.connection, data))
    return [command.event for command in made if isinstance(command, ReceiveHttp)]


def _wait(passage: Passage, stream: HttpStream, hook: StartHook, after: CommandGenerator[None]) -> None:
    """Have a stream wait for a hook, as `Layer.handle_event` does."""
    hook.blocking = stream  # type: ignore[assignment]  # as mitmproxy does
    stream._paused = Paused(hook, after)
    passage.place.layer.command_sources[hook] = stream


# What mitmproxy's streams do after these hooks, whose states do more before them.


def _after_request_head(stream: Answers, is_bare: bool) -> CommandGenerator[None]:
    if (yield from stream.check_killed(True)):
        return
    if stream.flow.response and not is_bare:
        yield from stream.answer_early()
        return
    yield from _invite(stream)
    if stream.flow.request.stream and not is_bare:
        yield from stream.start_request_stream()
        stream.server_state = stream.state_wait_for_response_headers
    else:
        stream.client_state = stream.state_consume_request_body
        stream.server_state = stream.state_wait_for_response_headers


def _invite(stream: Answers) -> CommandGenerator[None]:
    """Do what an addon wants that has asked for a 100 (Continue) itself."""
    headers = stream.flow.request.headers
    if headers.get("expect", "").lower() == "100-continue":
        invitation = http.Response.make(100)
        invitation.headers.clear()
        yield SendHttp(ResponseHeaders(stream.stream_id, invitation), stream.context.client)
        headers.pop("expect")


def _after_answer(stream: HttpStream) -> CommandGenerator[None]:
    if not (yield from stream.check_killed(True)):
        yield from stream.send_response()


def _after_response_head(stream: HttpStream, is_bare: bool) -> CommandGenerator[None]:
    if (yield from stream.check_killed(True)):
        return
    if stream.flow.response and stream.flow.response.stream and not is_bare:
        yield from stream.start_response_stream()
    else:
        stream.server_state = stream.state_consume_response_body
