"""The side of the proxy that speaks HTTP/1 with origins and upstream proxies.

mitmproxy passes on the client's version, and decides framing and persistence from the objects that addons edit. Here
the version is ours, and both follow from what was really sent and received.
"""

from mitmproxy import http
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestTrailers,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client

from proxy_policies.fields import Fields, fields_of
from proxy_policies.http1.framing import (
    Framing,
    InterimCount,
    chunk,
    frame_request,
    is_interim,
    last_chunk,
)
from proxy_policies.http1.response_heads import check_size, read_response
from proxy_policies.http1.sent_heads import as_http1, kept_response
from proxy_policies.patches import resets
from proxy_policies.patches.http1.bodies import Bodies
from proxy_policies.patches.http_stream.requests import StaleConnection
from proxy_policies.patches.http_stream.tunnels import RequestHalfClose
from proxy_policies.validity import Invalid

CONTINUE = 100


class Http1OriginSide(Bodies, Http1Client):
    """Sends requests and receives responses. `request` is as sent, `response` as received."""

    _framing = Framing.NONE
    _trailers = Fields()
    _interim: InterimCount
    is_reused = False
    """The connection has carried a request before this one."""
    _used = False
    _has_answered = False
    """Something was received since the request was sent."""

    # Sending

    def send(self, event: HttpEvent) -> CommandGenerator[None]:
        """Send a part of the request."""
        match event:
            case RequestHeaders():
                yield from self._send_head(event)
            case RequestData():
                if data := chunk(event.data) if self._framing is Framing.CHUNKED else event.data:
                    yield commands.SendData(self.conn, data)
            case RequestTrailers():
                self._trailers = Fields(event.trailers.fields)
            case RequestHalfClose():
                yield commands.CloseTcpConnection(self.conn, half_close=True)
            case RequestEndOfMessage():
                yield from self._send_end()
            case _:
                if not self.request_done:
                    resets.withhold_alert(self.conn)  # the request is incomplete
                yield from super().send(event)

    def _send_head(self, event: RequestHeaders) -> CommandGenerator[None]:
        self.is_reused, self._used, self._has_answered = self._used, True, False
        self.stream_id, self._interim = event.stream_id, InterimCount()
        self.request = request = as_http1(event.request)
        body = event.request.raw_content
        head = frame_request(
            fields_of(request.headers),
            length=None if body is None else len(body),
            is_empty=event.end_stream,
        )
        self._framing, self._trailers = head.framing, Fields()
        request.headers = http.Headers(head.fields.raw)
        yield commands.SendData(self.conn, http1.assemble_request_head(request))

    def _send_end(self) -> CommandGenerator[None]:
        if self._framing is Framing.CHUNKED:
            yield commands.SendData(self.conn, last_chunk(self._trailers))
        yield from self.mark_done(request=True)

    # Receiving

    def read_headers(self, event: events.ConnectionEvent) -> CommandGenerator[None]:
        """Read response heads once they are complete: interim ones, and the final one."""
        if isinstance(event, events.ConnectionClosed) or self.request is None or self.stream_id is None:
            yield from self._read_without_request(event)
            return
        self._has_answered = True
        try:
            while (lines := self.buf.maybe_extract_lines()) is not None:
                response, size = read_response([bytes(line) for line in lines], self.request, self.is_strict)
                if not is_interim(response.status_code):
                    yield from self._receive(response, size, event)
                    return
                self._interim.add()
                if response.status_code != CONTINUE:  # mitmproxy has already asked for the body itself
                    yield ReceiveHttp(ResponseHeaders(self.stream_id, response, end_stream=False))
            check_size(len(self.buf))
        except Invalid as error:
            yield commands.CloseConnection(self.conn)
            message = f"Cannot parse HTTP response: {error}"
            yield ReceiveHttp(ResponseProtocolError(self.stream_id, message, ErrorCode.GENERIC_SERVER_ERROR))

    def _read_without_request(self, event: events.ConnectionEvent) -> CommandGenerator[None]:
        """Distinguish a connection that died while idle (RFC 9112, section 9.3.1) from one that was refused."""
        is_stale = isinstance(event, events.ConnectionClosed) and self.is_reused and not self._has_answered
        for command in super().read_headers(event):
            if is_stale and isinstance(command, ReceiveHttp) and isinstance(command.event, ResponseProtocolError):
                error = command.event
                command.event = StaleConnection(error.stream_id, error.message, error.code)
            yield command

    def _receive(
        self, response: http.Response, size: int | None, event: events.ConnectionEvent
    ) -> CommandGenerator[None]:
        self.response = kept_response(response)
        yield ReceiveHttp(ResponseHeaders(self.stream_id, response, size == 0))
        self.begin_body(size)
        yield from self.state(event)
