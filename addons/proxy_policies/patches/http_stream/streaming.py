"""Flushes streamed bodies when their sender pauses, and eventually streams buffered ones that do not end.

mitmproxy's streams act only when data arrives; here a stream asks to be woken when none does. mitmproxy's wakeups
cannot be cancelled: ours are woken at once when their stream has ended, so that no timer outlives an exchange.
"""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Iterable

from mitmproxy import ctx, flow, http
from mitmproxy.proxy import events
from mitmproxy.proxy.commands import Log
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseProtocolError,
    ResponseTrailers,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook
from mitmproxy.utils import human

from proxy_policies import trace
from proxy_policies.flows import flow_state
from proxy_policies.patch import Section
from proxy_policies.patches.wakeups import Awaited
from proxy_policies.streaming.addon import reattach
from proxy_policies.streaming.decision import BUFFER_LIMIT, BUFFERED_FOR, is_limited, known_length
from proxy_policies.streaming.stream import Stream

FAILED = "a script's stream has failed"

type RequestPart = RequestData | RequestTrailers | RequestEndOfMessage
type ResponsePart = ResponseData | ResponseTrailers | ResponseEndOfMessage


class Timer(Awaited):
    """A wakeup that can be brought forward."""

    def __init__(self, delay: float) -> None:
        super().__init__(max(delay, 0.0))
        self.over = asyncio.Event()

    async def wait(self) -> None:
        """Wait for its time, or until it is brought forward."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), self.delay)


class Flushing(layers.HttpStream):
    """Flushes streamed bodies that pause, and streams buffered ones that do not end."""

    _timer: Timer | None = None

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        if isinstance(event, events.Wakeup):
            self._timer = None
            return self._woken()
        handling: CommandGenerator[None] = super()._handle_event(event)
        return handling

    def state_stream_response_body(self, event: ResponsePart) -> CommandGenerator[None]:
        """Send a part of a streamed body, and make sure that no data is held back for long."""
        self._end_timer(event)
        yield from super().state_stream_response_body(event)
        if isinstance(event, ResponseData):
            yield from self._wait(self._seconds_to_flush())

    def state_consume_response_body(self, event: ResponsePart) -> CommandGenerator[None]:
        """Buffer a part of a body, and make sure that it is not buffered forever."""
        self._end_timer(event)
        taken = super().state_consume_response_body(event)
        return self._and_wait(taken) if isinstance(event, ResponseData) and self._may_never_end else taken

    def _and_wait(self, taken: CommandGenerator[None]) -> CommandGenerator[None]:
        yield from taken
        yield from self._wait(BUFFERED_FOR)

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> CommandGenerator[None]:
        """End the timer, too."""
        self._end_timer(event)
        yield from super().handle_protocol_error(event)

    def _end_timer(self, event: object) -> None:
        if self._timer is not None and not isinstance(event, (ResponseData, ResponseTrailers)):
            self._timer.over.set()

    def _wait(self, seconds: float | None) -> CommandGenerator[None]:
        if seconds is not None and self._timer is None:
            self._timer = Timer(seconds)
            yield self._timer

    def _woken(self) -> CommandGenerator[None]:
        if self.server_state == self.state_stream_response_body:
            if (seconds := self._seconds_to_flush()) is not None and seconds <= 0:
                yield from self._flush(self.flow.response.stream.flush())  # type: ignore[union-attr]
            else:
                yield from self._wait(seconds)
        elif self.server_state == self.state_consume_response_body and self._may_never_end:
            if len(self.response_body_buf) < BUFFER_LIMIT:
                yield from self._release()
            else:
                yield from self._wait(BUFFERED_FOR)

    def _seconds_to_flush(self) -> float | None:
        stream = self.flow.response.stream if self.flow.response else None
        return stream.seconds_to_flush() if isinstance(stream, Stream) else None

    def _flush(self, chunks: Iterable[bytes]) -> CommandGenerator[None]:
        for chunk in chunks:
            if self.context.options.store_streamed_bodies:
                self.response_body_buf += chunk
            yield SendHttp(ResponseData(self.stream_id, chunk), self.context.client)

    @property
    def _may_never_end(self) -> bool:
        state, response = flow_state.state_of(self.flow), self.flow.response
        is_kept_whole = state.is_awaited_whole or state.source is not None or is_limited()
        if response is None or state.origin is None or is_kept_whole:
            return False
        return known_length(response) is None

    def _release(self) -> CommandGenerator[None]:
        """Stream what is buffered and what follows, as `stream_large_bodies` does."""
        response, data = self.flow.response, bytes(self.response_body_buf)
        if response is None:
            return
        trace.note(self.flow, "streaming", "response streamed", f"it has not ended within {BUFFERED_FOR:.0f} s")
        self.response_body_buf.clear()
        response.stream = True
        yield from self.start_response_stream()
        yield from self.state_stream_response_body(ResponseData(self.stream_id, data))


class LateStreaming(HttpStream):
    """Passes bodies through their pipelines even if streaming is decided late.

    `stream_large_bodies` decides once too much of a body has arrived, and addons after all scripts may decide, too.
    """

    def start_request_stream(self) -> CommandGenerator[None]:
        """Stream the request through its pipeline."""
        reattach(self.flow.request, flow_state.state_of(self.flow).request_body)
        yield from super().start_request_stream()

    def start_response_stream(self) -> CommandGenerator[None]:
        """Stream the response through its pipeline."""
        reattach(self.flow.response, flow_state.state_of(self.flow).response_body)
        yield from super().start_response_stream()


class SizeLimit(HttpStream):
    """Applies `body_size_limit` also to bodies that are streamed because of their media type."""

    def state_stream_request_body(self, event: RequestPart) -> CommandGenerator[None]:
        """Pass a part of the request on, unless it exceeds the limit."""
        if isinstance(event, RequestData) and _is_too_large(self.flow.request, event.data):
            yield from self._cut("Request", ErrorCode.REQUEST_TOO_LARGE)
        else:
            yield from super().state_stream_request_body(event)

    def state_stream_response_body(self, event: ResponsePart) -> CommandGenerator[None]:
        """Pass a part of the response on, unless it exceeds the limit."""
        if isinstance(event, ResponseData) and _is_too_large(self.flow.response, event.data):
            yield from self._cut("Response", ErrorCode.RESPONSE_TOO_LARGE)
        else:
            yield from super().state_stream_response_body(event)

    def _cut(self, kind: str, code: ErrorCode) -> CommandGenerator[None]:
        """End the exchange as `check_body_size` does for buffered bodies."""
        message = f"{kind} body exceeds mitmproxy's body_size_limit."
        self.flow.error = flow.Error(message)
        yield HttpErrorHook(self.flow)
        yield SendHttp(ResponseProtocolError(self.stream_id, message, code), self.context.client)
        yield SendHttp(RequestProtocolError(self.stream_id, message, code), self.context.server)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False


class ExchangeErrors(HttpStream):
    """Ends an exchange with an error if handling it raises an exception, as a script's own stream may."""

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        try:
            yield from super()._handle_event(event)
        except Exception:
            if not getattr(self, "flow", None) or not self.flow.live:
                raise
            yield Log(f"the exchange has failed:\n{traceback.format_exc()}", logging.ERROR)
            yield from self._break_off()

    def _break_off(self) -> CommandGenerator[None]:
        """End the exchange, also towards the origin, which may not have received the whole request."""
        code = ErrorCode.GENERIC_SERVER_ERROR
        is_asked = self.client_state in (self.state_stream_request_body, self.state_done)
        if is_asked and self.server_state not in (self.state_done, self.state_errored):
            yield SendHttp(RequestProtocolError(self.stream_id, FAILED, code), self.context.server)
        yield from self.handle_protocol_error(ResponseProtocolError(self.stream_id, FAILED, code))


def _is_too_large(message: http.Message | None, data: bytes) -> bool:
    limit = human.parse_size(ctx.options.body_size_limit)
    stream = message.stream if message else None
    return limit is not None and isinstance(stream, Stream) and stream.exceeds(limit, len(data))


SECTIONS = (
    Section(
        mixin=ExchangeErrors,
        why="a script's stream that raises leaves all clients that wait for the response waiting forever",
        upstream="not reported: set a callable that raises as `response.stream`: the client gets a head and no end",
        remove_when="`HttpStream` ends an exchange whose handling raises",
        test="tests/e2e/start_up/test_other_scripts.py::test_a_stream_that_raises_breaks_the_exchange_off",
    ),
    Section(
        mixin=SizeLimit,
        why="a body that is streamed because of its media type may exceed `body_size_limit`",
        upstream="not reported: mitmproxy does not apply the limit to bodies that an addon streams",
        remove_when="`check_body_size` counts streamed data",
        test="tests/e2e/messages/test_size_limit.py::test_no_body_is_larger_than_the_limit",
    ),
    Section(
        mixin=Flushing,
        why=("held-back data of a body that pauses waits for more of it; endless bodies are buffered forever"),
        upstream="https://github.com/mitmproxy/mitmproxy/issues/4469",
        remove_when="mitmproxy streams bodies that do not end, and wakes a stream when its source pauses",
        test="tests/e2e/messages/test_flushing.py::test_lines_come_one_by_one",
    ),
    Section(
        mixin=LateStreaming,
        why="a late decision to stream makes a body bypass its pipeline: it is neither stored nor recorded",
        upstream=(
            "not reported, a feature: `stream_large_bodies` overwrites a callable that an addon has set as `stream`"
        ),
        remove_when="mitmproxy leaves a callable `stream` alone, or asks addons when it decides to stream",
        test="tests/e2e/messages/test_bodies.py::test_what_is_streamed_by_a_late_decision_is_stored_all_the_same",
    ),
)
