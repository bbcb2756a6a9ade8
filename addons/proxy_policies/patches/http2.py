"""The two sides of the proxy that speak HTTP/2, holding messages to what is valid on every version.

mitmproxy lets through what hyper-h2 does: methods that are no token, targets with spaces, controls in values. Where it
refuses, it ends the connection; a message that is not valid is an error of its stream only (RFC 9113, section 8.1.1).
Interim responses are swallowed.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import h2.errors
import h2.events
from mitmproxy import http
from mitmproxy.proxy import events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http import _http2
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, ResponseHeaders, ResponseProtocolError
from mitmproxy.proxy.layers.http._http2 import (
    Http2Client,
    Http2Connection,
    Http2Server,
    split_pseudo_headers,
)

from proxy_policies import validity
from proxy_policies.fields import RawFields
from proxy_policies.patches.generators import in_place_of
from proxy_policies.patches.http1_server import SPLITS, error_response, log_refusal
from proxy_policies.patches.messages import is_interim
from proxy_policies.patches.patch import Patch
from proxy_policies.patches.request_heads import name_of
from proxy_policies.validity import Invalid

CONTINUE, SWITCHING_PROTOCOLS = 100, 101
PSEUDO = (b":method", b":scheme", b":authority", b":path")

Parsed = tuple[str, int, bytes, bytes, bytes, bytes, http.Headers]


class Streams(Http2Connection):
    """What both sides have in common."""

    @property
    def _strict(self) -> bool:
        return bool(self.context.options.validate_inbound_headers)

    def handle_h2_event(self, event: h2.events.Event) -> CommandGenerator[bool]:
        """Hold trailers to what is valid, and keep those that may come late."""
        if isinstance(event, h2.events.TrailersReceived) and self._strict:
            try:
                event.headers = list(validity.without_forbidden_trailers(_lines(event)))
            except Invalid as error:
                yield from self._break_off(event.stream_id, str(error))
                return False
        return (yield from super().handle_h2_event(event))

    def _break_off(self, stream_id: int, why: str) -> CommandGenerator[None]:
        """Reset a stream, and have its exchange end with an error."""
        self.streams.pop(stream_id, None)
        if not self.is_closed(stream_id):
            self.h2_conn.reset_stream(stream_id, h2.errors.ErrorCodes.PROTOCOL_ERROR)
        error = self.ReceiveProtocolError
        yield ReceiveHttp(error(stream_id, f"HTTP/2 protocol error: {why}", code=error.code))


class Server(Streams, Http2Server):
    """Receives requests and sends responses."""

    def handle_h2_event(self, event: h2.events.Event) -> CommandGenerator[bool]:
        """Refuse a request that is not valid."""
        if isinstance(event, h2.events.RequestReceived) and self._strict:
            try:
                event.headers = _checked_request(_lines(event))
            except Invalid as error:
                yield from self._refuse(event, error)
                return False
        return (yield from super().handle_h2_event(event))

    def _refuse(self, event: Any, error: Invalid) -> CommandGenerator[None]:
        """Answer a request that goes no further, and ask for no more of it."""
        yield from log_refusal(self.conn, error)
        response, stream_id = error_response(error.status, str(error)), event.stream_id
        fields = [(name.lower(), value) for name, value in response.headers.fields]
        self.h2_conn.send_headers(stream_id, [(b":status", b"%d" % error.status), *fields])
        self.h2_conn.send_data(stream_id, response.raw_content or b"", end_stream=True)
        if not self.is_closed(stream_id):
            self.h2_conn.reset_stream(stream_id, h2.errors.ErrorCodes.NO_ERROR)

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Send a part of a response; an addon's that would break its head is none."""
        if isinstance(event, ResponseHeaders) and validity.would_split(event.response.headers.fields):
            event = ResponseProtocolError(event.stream_id, SPLITS, ErrorCode.GENERIC_SERVER_ERROR)
        yield from super()._handle_event(event)


class Client(Streams, Http2Client):
    """Sends requests and receives responses."""

    def handle_h2_event(self, event: h2.events.Event) -> CommandGenerator[bool]:
        """Refuse a response that is not valid; pass interim ones on."""
        if not isinstance(event, h2.events.InformationalResponseReceived | h2.events.ResponseReceived):
            return (yield from super().handle_h2_event(event))
        try:
            status = _status(_lines(event))
            if self._strict:
                event.headers = _checked_response(
                    _lines(event), status, not isinstance(event, h2.events.ResponseReceived)
                )
        except Invalid as error:
            yield from self._break_off(event.stream_id, str(error))
            return False
        if isinstance(event, h2.events.ResponseReceived):
            return (yield from super().handle_h2_event(event))
        if status != CONTINUE:  # mitmproxy has asked for the body itself already
            fields = http.Headers([line for line in event.headers if not line[0].startswith(b":")])
            interim = http.Response(b"HTTP/2.0", status, b"", fields, None, None, time.time(), None)
            yield ReceiveHttp(ResponseHeaders(event.stream_id, interim, end_stream=False))
        return False


def _lines(event: Any) -> RawFields:
    return tuple((bytes(name), bytes(value)) for name, value in event.headers)


def _checked_request(lines: RawFields) -> list[tuple[bytes, bytes]]:
    pseudo = {name: value for name, value in lines if name.startswith(b":")}
    fields = tuple(line for line in lines if not line[0].startswith(b":"))
    method, scheme, authority, path = (pseudo.get(name, b"") for name in PSEUDO)
    validity.check_multiplexed(method, scheme, authority, path, fields)
    return [*pseudo.items(), *validity.with_one_length(fields)]


def _status(lines: RawFields) -> int:
    text = dict(lines).get(b":status", b"")
    if len(text) != 3 or not text.isdigit() or text[:1] not in b"12345":
        raise Invalid(f"the status is not valid: {validity.shown(text)}")
    return int(text)


def _checked_response(lines: RawFields, status: int, is_interim_head: bool) -> list[tuple[bytes, bytes]]:
    if is_interim(status) != is_interim_head or status == SWITCHING_PROTOCOLS:  # RFC 9113, section 8.6
        raise Invalid(f"the status is not valid: {status}")
    fields = lines[1:]
    validity.check_fields(fields)
    return [lines[0], *validity.with_one_length(fields)]


def _parsing(original: Callable[..., Parsed]) -> Callable[..., Parsed]:
    def parse_h2_request_headers(lines: Sequence[tuple[bytes, bytes]]) -> Parsed:
        try:
            return original(lines)
        except ValueError:  # mitmproxy reads DNS names in IDNA 2003 only; what else is not valid was settled before
            pseudo, fields = split_pseudo_headers(lines)
            if not pseudo.keys() >= set(PSEUDO):
                raise
            method, scheme, authority, path = (pseudo[name] for name in PSEUDO)
            host, port = validity.parse_authority(authority)
            return name_of(host), port or (80 if scheme == b"http" else 443), method, scheme, authority, path, fields

    return parse_h2_request_headers


PATCHES = (
    Patch(
        owner=_http2,
        attribute="parse_h2_request_headers",
        wrap=_parsing,
        versions="12.2",
        why="a host in IDNA 2008 ends the connection",
    ),
    Patch(
        owner=layers,
        attribute="Http2Server",
        wrap=in_place_of(Server),
        versions="12.2",
        why="requests that are not valid are passed on, or end all others of their connection",
    ),
    Patch(
        owner=layers,
        attribute="Http2Client",
        wrap=in_place_of(Client),
        versions="12.2",
        why="responses that are not valid are passed on; interim ones are swallowed",
    ),
)
