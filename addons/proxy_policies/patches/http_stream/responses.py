"""Sends responses that mitmproxy cannot: to an upload in progress, after an error, and interim ones.

In mitmproxy, a response set in `requestheaders` waits until the whole upload is in memory, or raises if the upload is
streamed; one set in `error` is ignored. Here the first is sent at once, and the second is sent if nothing was sent
yet. mitmproxy's own error response has fixed fields: `FlowState.error_fields` are added to it.
"""

from typing import Any

from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy.commands import Command
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook, HttpRequestHeadersHook, HttpResponseHeadersHook

from proxy_policies.flows import flow_state
from proxy_policies.hops.next_hop import interim_for_next_hop
from proxy_policies.http1.framing import is_interim
from proxy_policies.http1.sent_heads import error_response
from proxy_policies.patch import Section
from proxy_policies.patches.generators import run_until


class PolicyResponses(layers.HttpStream):
    """Sends the response that a policy sets early, or after an error."""

    def state_wait_for_request_headers(self, event: RequestHeaders) -> CommandGenerator[None]:
        """Answer at once if a policy refused the request because of its head."""

        def refused(command: Command) -> bool:
            is_asked = isinstance(command, HttpRequestHeadersHook) and not event.end_stream
            return is_asked and self.flow.response is not None and self.flow.error is None

        receiving = super().state_wait_for_request_headers(event)
        was_refused, _ = yield from run_until(receiving, refused)
        if was_refused and not (yield from self.check_killed(True)):
            yield from self.answer_early()

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> CommandGenerator[None]:
        """Let a policy answer in place of an origin that failed."""
        if self._was_answered_early(event):
            yield from self._end()
            return
        handling = super().handle_protocol_error(event)
        is_from_client = isinstance(event, RequestProtocolError)
        if is_from_client or self.context.client.state is ConnectionState.CLOSED:  # mitmproxy then gives up dialling
            flow_state.state_of(self.flow).client_left = True
        if self._is_unsent and not is_from_client:
            yield from self._unless_answered(handling)
        else:
            yield from handling

    def check_invalid(self, request: bool) -> CommandGenerator[bool]:
        """Let a policy answer in place of an origin whose response must not be passed on."""
        checking = super().check_invalid(request)
        return (yield from checking if request else self._unless_answered(checking))

    def _unless_answered(self, handling: CommandGenerator[Any]) -> CommandGenerator[bool]:
        """Handle an error, unless a policy sets a new response."""
        before = self.flow.response

        def is_answered(command: Command) -> bool:
            is_other = self.flow.response is not None and self.flow.response is not before
            return is_other and isinstance(command, HttpErrorHook)

        was_answered, value = yield from run_until(self._with_fields(handling), is_answered)
        if not was_answered:
            return bool(value)
        state = flow_state.state_of(self.flow)
        state.origin, state.response_pipeline = None, None
        self.flow.error = None
        yield from self.answer_early()
        return True

    def _with_fields(self, handling: CommandGenerator[Any]) -> CommandGenerator[Any]:
        """Add a policy's fields to mitmproxy's own error response."""
        reply = None
        while True:
            try:
                command = handling.send(reply)
            except StopIteration as end:
                return end.value
            if response := self._response_to(command):
                yield from self._send(response)
                reply = None
            else:
                reply = yield command

    def _response_to(self, command: Command) -> http.Response | None:
        """Return the response to send for an error; None if there is nothing to add to mitmproxy's."""
        fields = flow_state.state_of(self.flow).error_fields
        if not fields.raw or not isinstance(command, layers.SendHttp):
            return None
        event = command.event
        if not isinstance(event, ResponseProtocolError) or command.connection is not self.context.client:
            return None
        status = event.code.http_status_code()
        if status is None:
            return None
        response = error_response(status, event.message)
        response.headers = http.Headers((*response.headers.fields, *fields.raw))
        return response

    def _send(self, response: http.Response) -> CommandGenerator[None]:
        client, content = self.context.client, response.raw_content or b""
        yield layers.SendHttp(ResponseHeaders(self.stream_id, response, end_stream=False), client)
        if self.flow.request.method != "HEAD":
            yield layers.SendHttp(ResponseData(self.stream_id, content), client)
        yield layers.SendHttp(ResponseEndOfMessage(self.stream_id), client)

    @property
    def _is_unsent(self) -> bool:
        begun = (self.state_uninitialized, self.state_wait_for_response_headers, self.state_consume_response_body)
        return self.server_state in begun

    def answer_early(self) -> CommandGenerator[None]:
        """Send the response that a policy set, whatever the client still has to send."""
        yield HttpResponseHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        self.client_state = self.state_done
        yield from self.send_response()
        self.client_state = self.server_state = self.state_errored

    def _was_answered_early(self, event: RequestProtocolError | ResponseProtocolError) -> bool:
        """Return whether the origin sent a complete response, then closed the connection during the upload."""
        is_finished = self.server_state == self.state_done and self.client_state == self.state_stream_request_body
        return is_finished and isinstance(event, ResponseProtocolError)

    def _end(self) -> CommandGenerator[None]:
        self.client_state = self.state_done
        yield from self.flow_done()
        self.client_state = self.state_errored


class InterimResponses(HttpStream):
    """Passes interim responses on to the client: 102 (Processing) and 103 (Early Hints).

    mitmproxy treats any head as the final one (mitmproxy#2229): the client gets a 103 without an end, and hangs.
    `http1/client.py` and `http2/sides.py` read on after one; they drop a 100, since mitmproxy has already asked the
    client for the body itself.
    """

    def state_wait_for_response_headers(self, event: ResponseHeaders) -> CommandGenerator[None]:
        """Pass an interim response on, and keep waiting for the final one."""
        response = event.response
        if is_interim(response.status_code):
            response.headers.fields = interim_for_next_hop(response.headers.fields, response.status_code)
            yield SendHttp(event, self.context.client)
        else:
            yield from super().state_wait_for_response_headers(event)


SECTIONS = (
    Section(
        mixin=PolicyResponses,
        why="refused uploads are buffered completely or hang; a response set in the error hook is ignored",
        upstream="https://github.com/mitmproxy/mitmproxy/pull/7999",
        remove_when="a response set in `requestheaders` is sent at once, and one set in `error` is sent at all",
        test="tests/e2e/forward/test_refusals.py::test_a_response_set_on_error_is_what_the_client_gets",
    ),
    Section(
        mixin=InterimResponses,
        why="an interim response is treated as the final one, and the client hangs",
        upstream="https://github.com/mitmproxy/mitmproxy/issues/2229",
        remove_when="mitmproxy passes 1xx responses on, in every HTTP version (RFC 9110, section 15.2)",
        test="tests/e2e/cache/test_interim.py::test_interim_responses",
    ),
)
