"""The two sides of the proxy that speak HTTP/3, checking messages as in every HTTP version.

mitmproxy accepts what aioquic accepts: targets with spaces or without a slash, methods that are not tokens, statuses
beyond 599, bodies whose last frame is cut off. aioquic takes the head after an interim one for trailers, rejects the
Content-Length of a response to HEAD and of a 304, and cannot send heads of 4 KiB.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection
from itertools import accumulate
from typing import Any

import pylsqpack
from aioquic.h3.connection import ErrorCode, FrameType, H3Stream, HeadersState, MessageError, ProtocolError, Setting
from aioquic.h3.events import H3Event, HeadersReceived
from hpack.hpack import encode_integer
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestHeaders, RequestProtocolError, ResponseProtocolError
from mitmproxy.proxy.layers.http._http3 import Http3Client, Http3Connection, Http3Server
from mitmproxy.proxy.layers.http._http_h3 import LayeredH3Connection, StreamClosed, TrailersReceived

from proxy_policies.fields import RawFields
from proxy_policies.http1 import request_heads, response_heads
from proxy_policies.http1.framing import InterimCount, has_no_body, is_interim
from proxy_policies.http1.sent_heads import error_response
from proxy_policies.patch import Companion
from proxy_policies.patches import client_sides, quic_windows
from proxy_policies.patches.generators import in_place_of
from proxy_policies.patches.multiplexed_heads import (
    checked_response,
    checked_trailers,
    lines_of,
    read_request,
    read_status,
)
from proxy_policies.patches.quic_windows import WindowedConnection, quic_connection
from proxy_policies.patches.sides import LONGEST_REASON, MultiplexedSide
from proxy_policies.validity import Invalid
from proxy_policies.waits import NOT_WAITING, Waiting

WITHOUT_TABLE: dict[int, int] = {Setting.QPACK_MAX_TABLE_CAPACITY: 0, Setting.QPACK_BLOCKED_STREAMS: 0}
"""Fields are compressed by themselves, in both directions: one byte that refers to a table (RFC 9204, section 3.2) may
stand for all that the table holds, and a head would wait for the stream that fills it."""
LONG_SECTION = 4096
"""Size of a field section (RFC 9114, section 4.2.2) that may not fit into the buffers of aioquic's encoder."""
LINE_OVERHEAD = 32
"""Bytes that count for each line of a section, beside its name and value."""


class CutOffError(ProtocolError):
    """A stream ends within a frame."""

    error_code = ErrorCode.H3_FRAME_ERROR


class ExcessiveLoad(ProtocolError):
    """A peer sends more of a head than is kept."""

    error_code = ErrorCode.H3_EXCESSIVE_LOAD


class CheckedH3Connection(LayeredH3Connection):
    """One side of a connection; methods with an underscore override aioquic's."""

    is_strict = True
    """Whether trailers must conform to the grammar."""
    why_malformed = ""
    """Why the last malformed message was rejected."""

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        self._decoder = pylsqpack.Decoder(0, 0)
        self.refused: list[Invalid] = []
        """Why requests were refused for which no event was returned, until they are logged."""
        self.heads: set[int] = set()
        """The streams of requests with HEAD."""
        self._statuses: dict[int, int] = {}

    @property
    def _head_limit(self) -> int:
        return response_heads.HEAD_LIMIT if self._is_client else request_heads.HEAD_LIMIT

    def _get_local_settings(self) -> dict[int, int]:
        return super()._get_local_settings() | WITHOUT_TABLE

    def _validate_settings(self, settings: dict[int, int]) -> None:
        """Raise SettingsError for invalid ones; have no table for what we send, however large the peer permits."""
        super()._validate_settings(settings)
        settings |= WITHOUT_TABLE

    def _receive_request_or_push_data(self, stream: H3Stream, data: bytes, stream_ended: bool) -> list[H3Event]:
        """Receive data; end the stream, and no other, if its message is malformed (RFC 9114, section 4.1.2)."""
        is_request = stream.headers_recv_state is HeadersState.INITIAL and not self._is_client
        try:
            return self._receive_whole_frames(stream, data, stream_ended)
        except MessageError as error:
            if is_request:
                self.refused.append(Invalid(error.reason_phrase))
            return self._break_off(stream, error)

    def _receive_whole_frames(self, stream: H3Stream, data: bytes, stream_ended: bool) -> list[H3Event]:
        """Receive data; raise an error if it ends within a frame (RFC 9114, section 7.1), or before its final head."""
        received = super()._receive_request_or_push_data(stream, data, stream_ended)
        self._check_size(stream)
        if stream.ended:
            if stream.frame_size is not None or stream.buffer:
                raise CutOffError("the stream ends within a frame")
            if stream.headers_recv_state is HeadersState.INITIAL:
                raise MessageError("the stream ends before its head")
        return received

    def _receive_stream_data_uni(self, stream: H3Stream, data: bytes, stream_ended: bool) -> list[H3Event]:
        received = super()._receive_stream_data_uni(stream, data, stream_ended)
        if len(stream.buffer) > request_heads.HEAD_LIMIT:
            raise ExcessiveLoad("the frame is too long")
        return received

    def _check_size(self, stream: H3Stream) -> None:
        """Raise ExcessiveLoad for a long frame that aioquic keeps until it is complete.

        It would copy all that has come for each further packet.
        """
        kept = 0 if stream.frame_type == FrameType.DATA else stream.frame_size or 0
        if kept > self._head_limit:
            raise ExcessiveLoad("the head is too long")

    def _break_off(self, stream: H3Stream, error: MessageError) -> list[H3Event]:
        if not (stream.ended and stream.headers_send_state is HeadersState.AFTER_TRAILERS):
            self.close_stream(stream.stream_id, error.error_code)
        stream.ended, stream.headers_recv_state = True, HeadersState.AFTER_TRAILERS
        self.why_malformed = error.reason_phrase
        return [StreamClosed(stream.stream_id, error.error_code)]

    def _decode_headers(self, stream_id: int, frame_data: bytes | None) -> Any:
        lines = _up_to(self._head_limit, super()._decode_headers(stream_id, frame_data))
        status = dict(lines).get(b":status", b"")
        if status.isdigit():
            self._statuses[stream_id] = int(status)
        return lines

    def _check_content_length(self, stream: H3Stream) -> None:
        """Raise MessageError if the content is not as long as declared; some statuses and HEAD have none."""
        method = "HEAD" if stream.stream_id in self.heads else "GET"
        if has_no_body(method, self._statuses.get(stream.stream_id, 200)):
            stream.expected_content_length = 0
        super()._check_content_length(stream)

    def _handle_request_or_push_frame(self, *frame: Any, **more: Any) -> list[H3Event]:
        received = super()._handle_request_or_push_frame(*frame, **more)
        for event in received:
            if isinstance(event, HeadersReceived) and is_interim(self._statuses.get(event.stream_id, 200)):
                self._stream[event.stream_id].headers_recv_state = HeadersState.INITIAL
            elif isinstance(event, TrailersReceived) and self.is_strict:
                event.trailers = _without_forbidden(tuple(event.trailers))
        return received

    def _encode_headers(self, stream_id: int, headers: Any) -> bytes:
        if sum(len(name) + len(value) + LINE_OVERHEAD for name, value in headers) < LONG_SECTION:
            return super()._encode_headers(stream_id, headers)
        return _encode_literally(headers)

    def send_headers(self, stream_id: int, headers: Any, end_stream: bool = False) -> None:
        """Send a head, which another follows if it is interim."""
        super().send_headers(stream_id, headers, end_stream)
        status = dict(headers).get(b":status", b"200")
        if is_interim(int(status)):
            self._stream[stream_id].headers_send_state = HeadersState.INITIAL


def _up_to(limit: int, lines: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the lines up to the one that exceeds a limit, for which the head is refused.

    64 KiB may stand for some 3 MiB (RFC 9204, appendix A), which aioquic would check byte by byte.
    """
    sizes = accumulate(len(name) + len(value) for name, value in lines)
    return lines[: sum(size <= limit for size in sizes) + 1]


def _encode_literally(headers: RawFields) -> bytes:
    """Return an encoded field section that refers to no table (RFC 9204, sections 4.5.1 and 4.5.6)."""
    section = bytearray(2)
    for name, value in headers:
        for text, prefix_bits, pattern in ((name, 3, 0x20), (value, 7, 0)):
            length = encode_integer(len(text), prefix_bits)
            length[0] |= pattern
            section += length + text
    return bytes(section)


def _without_forbidden(trailers: RawFields) -> list[tuple[bytes, bytes]]:
    try:
        return checked_trailers(trailers)
    except Invalid as error:
        raise MessageError(str(error)) from error


class Http3Side(MultiplexedSide, Http3Connection):
    """Behaviour common to both sides."""

    h3_conn: CheckedH3Connection

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.h3_conn = CheckedH3Connection(self.conn, is_client=isinstance(self, Http3Client))
        self.h3_conn.is_strict = self.is_strict

    @functools.cached_property
    def _quic(self) -> WindowedConnection | None:
        return quic_connection(self.context, self.conn)

    def unsent_by_stream(self) -> dict[int, int]:
        """Return the bytes that wait for the peer's windows, by stream."""
        return self._quic.unsent_by_stream() if self._quic else {}

    def unsent_of(self, stream_id: int) -> int:
        """Count those of one stream."""
        return self._quic.unsent_of(stream_id) if self._quic else 0

    def waiting_streams(self) -> Collection[int]:
        """Return the streams whose windows are to be reopened once their data is accepted."""
        return self._quic.waiting_streams() if self._quic else ()

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Have data held back from the start, until the other side accepts it."""
        if isinstance(event, events.Wakeup):  # QUIC's layer now sends the windows that may be reopened
            return
        if isinstance(event, events.Start) and self._quic:
            self._quic.holds_back = self._holds_back
        for command in super()._handle_event(event):
            if isinstance(command, ReceiveHttp) and isinstance(command.event, self.ReceiveProtocolError):
                self._give_reason(command.event)
            yield command

    def _give_reason(self, error: RequestProtocolError | ResponseProtocolError) -> None:
        """Say why a stream ended whose message was malformed; mitmproxy names the code, and a client."""
        if why := self.h3_conn.why_malformed:
            error.message, self.h3_conn.why_malformed = f"HTTP/3 protocol error: {why[:LONGEST_REASON]}", ""


class Http3ClientSide(Http3Side, Http3Server):
    """Receives requests and sends responses."""

    def waiting(self) -> Waiting:
        """Return that it waits for nothing: silent clients are disconnected whatever they owe."""
        return NOT_WAITING

    def parse_headers(self, event: Any) -> Any:
        """Return a request; if it is invalid, answer it, and return an error of a stream that no layer handles."""
        if not self.is_strict:
            return super().parse_headers(event)
        stream_id = event.stream_id
        try:
            request = read_request(event, b"HTTP/3")
        except Invalid as error:
            self._refuse(stream_id, error)
            return RequestProtocolError(stream_id, str(error), RequestProtocolError.code)
        return RequestHeaders(stream_id, request, end_stream=event.stream_ended)

    def _refuse(self, stream_id: int, error: Invalid) -> None:
        """Answer a refused request."""
        self.h3_conn.refused.append(error)
        response = error_response(error.status, str(error))
        fields = [(name.lower(), value) for name, value in response.headers.fields]
        self.h3_conn.send_headers(stream_id, [(b":status", b"%d" % error.status), *fields])
        self.h3_conn.send_data(stream_id, response.raw_content or b"", end_stream=True)

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Log refusals; disconnect a client that reads nothing."""
        if why := client_sides.why_timed_out(event):
            yield commands.Log(f"closing connection: {why}")
            self.h3_conn.close_connection(ErrorCode.H3_NO_ERROR, reason_phrase=why)
            yield from self.h3_conn.transmit()
        yield from super()._handle_event(event)
        while self.h3_conn.refused:
            error = self.h3_conn.refused.pop()
            self.report_refusal(error)
            yield from self.log_refusal(error)


class Http3OriginSide(Http3Side, Http3Client):
    """Sends requests and receives responses."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._interim: dict[int, InterimCount] = defaultdict(InterimCount)
        """By stream."""

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Note which responses have no content."""
        is_head = isinstance(event, RequestHeaders) and event.request.method == "HEAD"
        yield from super()._handle_event(event)
        if is_head and isinstance(event, RequestHeaders):
            self.h3_conn.heads.add(event.stream_id)  # by now the origin's

    def parse_headers(self, event: Any) -> Any:
        """Return a response; if it is invalid, end its stream, and return an error."""
        if not self.is_strict:
            return super().parse_headers(event)
        try:
            status = read_status(lines_of(event))
            event.headers = checked_response(lines_of(event), status, is_interim(status))
            if is_interim(status):
                self._interim[event.stream_id].add()
        except Invalid as error:
            if not event.stream_ended:  # else aioquic may have forgotten it, and a reset of size 0 ends the connection
                self.h3_conn.close_stream(event.stream_id, ErrorCode.H3_MESSAGE_ERROR)
            failed = ResponseProtocolError
            return failed(event.stream_id, f"HTTP/3 protocol error: {error}", failed.code)
        return super().parse_headers(event)


COMPANIONS = (
    Companion(
        owner=layers,
        attribute="Http3Server",
        wrap=in_place_of(Http3ClientSide),
        seen_on="12.2.1 to 12.3.1",
        why="invalid HTTP/3 requests are passed on, one that is cut off as a whole one; each field that a policy adds "
        "is a log line",
        test="tests/e2e/messages/test_validity_http3.py::test_a_bad_target_is_refused",
        source_sha256={"12.2.1 to 12.3.1": "6d0d02bf46a1c2a364096b999adc5aa2bf5489af123064f06d4349312c99da98"},
    ),
    Companion(
        owner=layers,
        attribute="Http3Client",
        wrap=in_place_of(Http3OriginSide),
        seen_on="12.2.1 to 12.3.1",
        why="the same of HTTP/3 responses; a response to HEAD or a 304 with a length fails, and one after a 103",
        test="tests/e2e/messages/test_validity_http3.py::test_a_bad_response_is_not_passed_on",
        source_sha256={"12.2.1 to 12.3.1": "2b4a93c45e199ce2aa4a42f21f1f424fa4cdaaf93951c62dacca82a1fc62d37f"},
    ),
    quic_windows.COMPANION,
)
