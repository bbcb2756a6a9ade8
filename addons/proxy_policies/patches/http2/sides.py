"""The two sides of the proxy that speak HTTP/2, checking messages as in every HTTP version.

mitmproxy accepts what hyper-h2 accepts: methods that are not tokens, targets with spaces, control characters in values.
When it rejects a message, it ends the connection; an invalid message is only a stream error (RFC 9113, section 8.1.1).
It drops interim responses.
"""

import time
from collections import defaultdict
from typing import Any

import h2.errors
import h2.events
from mitmproxy import http
from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, RequestHeaders, ResponseHeaders, ResponseProtocolError
from mitmproxy.proxy.layers.http._http2 import Http2Client, Http2Server, StreamState

from proxy_policies.http1 import request_heads, response_heads
from proxy_policies.http1.framing import InterimCount, is_interim, would_split
from proxy_policies.http1.sent_heads import SPLITS, error_response
from proxy_policies.patch import Patch
from proxy_policies.patches import http3
from proxy_policies.patches.back_pressure import STREAM_WINDOW
from proxy_policies.patches.generators import in_place_of
from proxy_policies.patches.http2.graceful_shutdown import GracefulShutdown
from proxy_policies.patches.http2.stream_errors import PerStreamConnection, StreamRejected
from proxy_policies.patches.multiplexed_heads import (
    checked_response,
    checked_trailers,
    lines_of,
    read_request,
    read_status,
)
from proxy_policies.patches.sides import LONGEST_REASON
from proxy_policies.validity import Invalid

CONTINUE, SERVICE_UNAVAILABLE = 100, 503


class Http2Side(GracefulShutdown):
    """Behaviour common to both sides."""

    head_limit: int
    """Most bytes of a head that is received."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        settings = self.h2_conn.local_settings
        settings.initial_window_size = STREAM_WINDOW
        settings.max_header_list_size = self.head_limit
        settings.acknowledge()
        self.h2_conf.validate_inbound_headers = False  # `multiplexed_heads` does, alike in HTTP/2 and HTTP/3
        self.h2_conn = PerStreamConnection(self.h2_conf, self._holds_back)
        self.h2_conn.local_settings = settings
        self.h2_conn.decoder.max_header_list_size = 2 * self.head_limit  # counts 32 bytes more for each line

    def handle_h2_event(self, event: h2.events.Event) -> CommandGenerator[bool]:
        """Reject invalid trailers, drop fields that may not be trailers, and say why a stream is rejected."""
        if isinstance(event, StreamRejected) and event.stream_id in self.streams:
            yield from self._break_off(event.stream_id, event.why)  # mitmproxy names the code, and a client
            return False
        if isinstance(event, h2.events.TrailersReceived) and self.is_strict:
            try:
                event.headers = checked_trailers(lines_of(event))
            except Invalid as error:
                yield from self._break_off(event.stream_id, str(error))
                return False
        return (yield from super().handle_h2_event(event))

    def _break_off(self, stream_id: int, why: str) -> CommandGenerator[None]:
        """Reset a stream, and end its exchange with an error."""
        self.streams.pop(stream_id, None)
        if not self.is_closed(stream_id):
            self.h2_conn.reset_stream(stream_id, h2.errors.ErrorCodes.PROTOCOL_ERROR)
        error = self.ReceiveProtocolError
        yield ReceiveHttp(error(stream_id, f"HTTP/2 protocol error: {why[:LONGEST_REASON]}", code=error.code))


class Http2ClientSide(Http2Side, Http2Server):
    """Receives requests and sends responses."""

    head_limit = request_heads.HEAD_LIMIT

    def handle_h2_event(self, event: h2.events.Event) -> CommandGenerator[bool]:
        """Receive a request, and refuse it if it is invalid."""
        if isinstance(event, StreamRejected) and event.is_head:
            is_one_too_many = event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
            yield from self._note_refusal(Invalid(event.why, SERVICE_UNAVAILABLE if is_one_too_many else 400))
            return False
        if not isinstance(event, h2.events.RequestReceived) or not self.is_strict:
            return (yield from super().handle_h2_event(event))
        try:
            request = read_request(event, b"HTTP/2.0")
        except Invalid as error:
            yield from self._refuse(event, error)
            return False
        stream_id = event.stream_id
        self.streams[stream_id] = StreamState.HEADERS_RECEIVED
        yield ReceiveHttp(RequestHeaders(stream_id, request, end_stream=bool(event.stream_ended)))
        return False

    def protocol_error(
        self, message: str, error_code: int = h2.errors.ErrorCodes.PROTOCOL_ERROR
    ) -> CommandGenerator[None]:
        """Disconnect a client that sent invalid frames; it can read why even if it is still sending."""
        yield from self.close(message, message, error_code)

    def _refuse(self, event: Any, error: Invalid) -> CommandGenerator[None]:
        """Answer a refused request, and ask the client to stop sending it (RFC 9113, section 8.1)."""
        yield from self._note_refusal(error)
        if self.is_closed(event.stream_id):  # the client has reset it already
            return
        response, stream_id = error_response(error.status, str(error)), event.stream_id
        fields = [(name.lower(), value) for name, value in response.headers.fields]
        self.h2_conn.send_headers(stream_id, [(b":status", b"%d" % error.status), *fields])
        self.h2_conn.send_data(stream_id, response.raw_content or b"", end_stream=True)
        if not self.is_closed(stream_id):
            self.h2_conn.reset_stream(stream_id, h2.errors.ErrorCodes.NO_ERROR)

    def _note_refusal(self, error: Invalid) -> CommandGenerator[None]:
        yield from self.log_refusal(error)
        self.report_refusal(error)

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Send a part of a response; fail if an addon's fields would split its head."""
        if isinstance(event, ResponseHeaders) and would_split(event.response.headers.fields):
            event = ResponseProtocolError(event.stream_id, SPLITS, ErrorCode.GENERIC_SERVER_ERROR)
        yield from super()._handle_event(event)


class Http2OriginSide(Http2Side, Http2Client):
    """Sends requests and receives responses."""

    head_limit = response_heads.HEAD_LIMIT

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._interim: dict[int, InterimCount] = defaultdict(InterimCount)
        """By stream; entries of streams without a final response remain until their connection ends."""

    def handle_h2_event(self, event: h2.events.Event) -> CommandGenerator[bool]:
        """Receive a response: refuse an invalid one, and pass interim ones on."""
        if not isinstance(event, h2.events.InformationalResponseReceived | h2.events.ResponseReceived):
            return (yield from super().handle_h2_event(event))
        try:
            status = read_status(lines_of(event))
            if self.is_strict:
                event.headers = checked_response(
                    lines_of(event), status, not isinstance(event, h2.events.ResponseReceived)
                )
            if is_interim(status):
                self._interim[event.stream_id].add()
        except Invalid as error:
            yield from self._break_off(event.stream_id, str(error))
            return False
        if isinstance(event, h2.events.ResponseReceived):
            self._interim.pop(event.stream_id, None)
            return (yield from super().handle_h2_event(event))
        if status != CONTINUE:  # mitmproxy has already asked for the body itself
            fields = http.Headers([line for line in event.headers if not line[0].startswith(b":")])
            interim = http.Response(b"HTTP/2.0", status, b"", fields, None, None, time.time(), None)
            yield ReceiveHttp(ResponseHeaders(event.stream_id, interim, end_stream=False))
        return False


PATCHES = (
    Patch(
        owner=layers,
        attribute="Http2Server",
        wrap=in_place_of(Http2ClientSide),
        seen_on="12.2.1 to 12.3.1",
        why="invalid requests are passed on, or end all others on their connection; resets and empty frames are "
        "accepted without limit, and block all other clients",
        upstream=(
            "not reported: RFC 9113, section 8.1.1, and CVE-2023-44487: 10 000 times HEADERS and RST_STREAM block "
            "all other clients"
        ),
        remove_when=(
            "mitmproxy checks HTTP/2 messages as strictly as HTTP/1 messages, with stream errors, and limits resets"
        ),
        test="tests/e2e/messages/test_validity_http2.py::test_a_bad_request_is_an_error_of_its_stream",
        source_sha256={
            "12.2.1": "c5e111bb9c6d3146cb8d45f7771e6e8564a4c5103dba06d58a0e7a6fcb507293",
            "12.3.1": "5a6d6f4e5bf1963ffa1f9da7fa3e607439f9fd38ba1525b507a2b2274661b8ca",
        },
        companions=http3.COMPANIONS,
    ),
    Patch(
        owner=layers,
        attribute="Http2Client",
        wrap=in_place_of(Http2OriginSide),
        seen_on="12.2.1 to 12.3.1",
        why="invalid responses are passed on; interim ones are dropped; a GOAWAY ends responses in progress",
        upstream=(
            'not reported, but known to `Http2Client.handle_h2_event` ("we violate the spec here"): have an HTTP/2 '
            "origin answer 103"
        ),
        remove_when=("mitmproxy checks HTTP/2 responses as strictly as HTTP/1 responses, and passes interim ones on"),
        test="tests/e2e/messages/test_validity_http2.py::test_a_bad_answer_is_502",
        source_sha256={
            "12.2.1": "2807a8b936ce864b09ae1f8a828da170f6dd024d5f093a015629b52b8bd14608",
            "12.3.1": "51909c54805247505942b44aaab917804c3e2b3ea38cf6eaef4f54cba3f7bbd3",
        },
    ),
)
