"""The side of the proxy that speaks HTTP/1 with its clients.

mitmproxy decides framing and persistence from the objects that addons edit, answers with the origin's version,
compares connection options case-sensitively, sends chunked bodies to HTTP/1.0 clients, accepts heads of any size, and
drops the connection after every error. Here each of these follows RFC 9112.
"""

from h11._receivebuffer import ReceiveBuffer
from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.net.http import status_codes
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestHeaders,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)
from mitmproxy.proxy.layers.http._http1 import Http1Server

from proxy_policies.exchange.client_side import HALF_CLOSED, NO_BODY
from proxy_policies.fields import Fields, fields_of, parse_length, tokens
from proxy_policies.http1.framing import (
    DRAIN_LIMIT,
    VERSION,
    Framing,
    SentBody,
    frame_response,
    is_modern,
    persists,
    with_persistence,
    would_split,
)
from proxy_policies.http1.request_heads import HEAD_LIMIT, announced_size, host_of_target, read_request
from proxy_policies.http1.sent_heads import SPLITS, error_response, head_of, kept_request, kept_response
from proxy_policies.patches import client_sides, resets
from proxy_policies.patches.http1.bodies import Bodies
from proxy_policies.patches.lingering import ClosedByProxy, Lingering
from proxy_policies.patches.turns import take_turn
from proxy_policies.streaming.decision import is_endless
from proxy_policies.validity import Invalid
from proxy_policies.waits import NOT_WAITING, Wait, Waiting


class Http1ClientSide(Lingering, Bodies, Http1Server):
    """Receives requests and sends responses. `request` is as received, `response` as sent."""

    _body = NO_BODY
    _trailers = Fields()
    _is_last = False
    """The client has ended its half of the connection: no request follows."""
    _was_sent = False
    """Something was sent to the client since the last check."""
    _sent_continue = False
    """We sent 100 (Continue)."""
    _received = 0
    """Bytes received from the client."""
    refused = 0
    """The status with which the last request was refused here because of its head or body; 0: it was not."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        client_sides.register(context.client, self)

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        if self._lingering:
            return self.handle_while_lingering(event)
        if isinstance(event, events.DataReceived):
            self._received += len(event.data)
        if why := client_sides.why_timed_out(event):
            return self._time_out(why)
        return self._check_half_closed() if isinstance(event, events.Wakeup) else super()._handle_event(event)

    def linger(self) -> CommandGenerator[None]:
        """Close in two steps; discard what was received."""
        self.buf = ReceiveBuffer()
        yield from super().linger()

    # Waiting

    def waiting(self) -> Waiting:
        """Return what the side waits for: the rest of a head or of a body, or the next request."""
        if self._lingering or self._paused:
            return NOT_WAITING
        if self.state == self.read_headers:
            return Waiting(Wait.HEAD if self.buf else Wait.REQUEST, self.stream_id)
        if self.state == self.read_body and self.response is None and not self._is_continue_due:
            return Waiting(Wait.BODY, self.stream_id, self._received)
        return NOT_WAITING

    @property
    def _is_continue_due(self) -> bool:
        return "expect" in self.request.headers and not self._sent_continue

    def is_full(self) -> bool:
        """Return whether further requests have arrived while one is being answered: more of them wait in the kernel."""
        return len(self.buf) > HEAD_LIMIT and bool(self.state == self.wait)

    def unsent(self) -> int:
        """Return 0: all data to be sent is in the transport."""
        return 0

    def _time_out(self, why: str) -> CommandGenerator[None]:
        """Answer 408 (RFC 9110, section 15.5.9), unless the client has continued in the meantime."""
        waited = self.waiting().wait
        if waited not in (Wait.HEAD, Wait.BODY):
            return
        error = Invalid(f"closing connection: {why}", 408)
        if waited is Wait.HEAD:
            self.report_refusal(error)
        yield from self._refuse(error)
        if waited is Wait.BODY:
            yield from self._report(why)

    # Receiving

    def read_headers(self, event: events.ConnectionEvent) -> CommandGenerator[None]:
        """Read a request head once it is complete."""
        if isinstance(event, events.ConnectionClosed):
            yield from super().read_headers(event)
            return
        # An event without data means that mitmproxy continues: the next request is already buffered.
        if isinstance(event, events.DataReceived) and not event.data:
            yield from take_turn(self.context.client)
        lines = self.buf.maybe_extract_lines()
        while lines == []:  # RFC 9112, section 2.2: empty lines before a request are to be ignored
            lines = self.buf.maybe_extract_lines()
        try:
            if lines:
                request, size = read_request([bytes(line) for line in lines], self.is_strict)
                yield from self._receive(request, size, event)
            elif len(self.buf) > HEAD_LIMIT:
                raise Invalid(f"The request head has over {HEAD_LIMIT} bytes.", 431)
            elif self._is_last:
                yield commands.CloseConnection(self.conn)
        except Invalid as error:
            self.report_refusal(error)
            yield from self._refuse(error)

    def _receive(
        self, request: http.Request, size: int | None, event: events.ConnectionEvent
    ) -> CommandGenerator[None]:
        self.request = kept_request(request)
        self._sent_continue = False
        host = host_of_target(request)
        if host is not None:
            self._set_host(request, host)
        yield ReceiveHttp(RequestHeaders(self.stream_id, request, size == 0))
        if not self._lingering:
            self.begin_body(size)
            yield from self.state(event)

    def _set_host(self, request: http.Request, host: bytes) -> None:
        """Set Host to the target's host; the target keeps its absolute form only towards another proxy."""
        if [value for name, value in request.headers.fields if name.lower() == b"host"] != [host]:
            request.headers["Host"] = host
        if self._is_at_origin:
            request.data.authority = b""

    @property
    def _is_at_origin(self) -> bool:
        """True if all requests here go to one origin, whatever their host."""
        return any(isinstance(layer, HttpLayer) and layer.mode is HTTPMode.transparent for layer in self.context.layers)

    def _refuse(self, error: Invalid) -> CommandGenerator[None]:
        self.refused = error.status
        yield from self.log_refusal(error)
        response = error_response(error.status, str(error))
        response.headers["Connection"] = "close"
        yield commands.SendData(self.conn, head_of(response) + (response.raw_content or b""))
        yield from self.linger()

    def refuse_body(self, why: str) -> CommandGenerator[None]:
        """Answer a body whose framing is broken, unless a response is already being sent."""
        if self.response is None and self.conn.state & ConnectionState.CAN_WRITE:
            yield from self._refuse(Invalid(why))
        yield from super().refuse_body(why) if not self._lingering else self._report(why)

    def _report(self, why: str) -> CommandGenerator[None]:
        error = self.ReceiveProtocolError
        yield ReceiveHttp(error(self.stream_id, f"HTTP/1 protocol error: {why}", code=error.code))

    def wait(self, event: events.Event) -> CommandGenerator[None]:
        """Wait for the response; a client that has ended its half of the connection still gets it."""
        if isinstance(event, events.ConnectionClosed) and self._is_half_closed:
            self._is_last = True
            yield commands.RequestWakeup(HALF_CLOSED)
        else:
            yield from super().wait(event)

    def make_pipe(self) -> CommandGenerator[None]:
        """Begin a tunnel, whose client may have ended its half already."""
        yield from super().make_pipe()
        if self._is_last:
            yield from self.passthrough(events.ConnectionClosed(self.conn))

    @property
    def _is_half_closed(self) -> bool:
        """True if the client may still read.

        A client whose connection was reset, or ended without TLS's closing alert, has left. So has one that ends its
        half during an endless stream: browsers and curl just close, and an idle stream gives no other sign of it.
        """
        if self.conn.state is not ConnectionState.CAN_WRITE or resets.was_cut(self.conn, self.context):
            return False
        return self.response is None or not is_endless(self.response)

    def _check_half_closed(self) -> CommandGenerator[None]:
        """Drop a client that has ended its half and was sent nothing since the last check."""
        if self.state != self.wait:
            return
        if self._was_sent:
            self._was_sent = False
            yield commands.RequestWakeup(HALF_CLOSED)
        else:
            yield from super().wait(events.ConnectionClosed(self.conn))

    # Sending

    def send(self, event: HttpEvent) -> CommandGenerator[None]:
        """Send a part of the response."""
        if event.stream_id != self.stream_id:
            return
        self._was_sent = True
        match event:
            case ResponseHeaders():
                yield from self._send_head(event.response, event.end_stream)
            case ResponseData():
                if data := self._framed(event.data):
                    yield commands.SendData(self.conn, data)
            case ResponseTrailers():
                self._trailers = Fields(event.trailers.fields)
            case ResponseEndOfMessage():
                yield from self._send_end()
            case ResponseProtocolError():
                yield from self._fail(event)

    def _send_head(self, response: http.Response, is_empty: bool) -> CommandGenerator[None]:
        status, version = response.status_code, self.request.http_version
        if 100 <= status < 200 and status != 101:
            self._sent_continue = self._sent_continue or status == 100
            if is_modern(version):  # RFC 9110, section 15.2: none to HTTP/1.0
                yield commands.SendData(self.conn, head_of(response))
            return
        body = response.raw_content
        length = len(body) if body is not None else 0 if is_empty else None
        head = frame_response(
            fields_of(response.headers), method=self.request.method, status=status, version=version, length=length
        )
        fields = head.fields
        if status != 101 and not (self.request.method == "CONNECT" and status < 300):
            fields = with_persistence(fields, version, self._closes(fields, head.framing))
        if would_split((*fields.raw, (b"", response.data.reason))):
            yield from self._fail(ResponseProtocolError(self.stream_id, SPLITS, ErrorCode.GENERIC_SERVER_ERROR))
            return
        self.response = kept_response(response, fields)
        self._body, self._trailers = SentBody(head.framing, fields), Fields()
        if head.framing is Framing.CLOSE:
            # undone at its end: if this process dies before, the client must not see a normal end
            resets.cut(self.conn, self.context)
        yield commands.SendData(self.conn, head_of(self.response))

    def _closes(self, fields: Fields, framing: Framing) -> bool:
        received = fields_of(self.request.headers)
        return (
            not persists(self.request.http_version, received)
            # RFC 9112, section 9.3: a proxy keeps no connection with an HTTP/1.0 client
            or (bool(self.request.authority) and not is_modern(self.request.http_version))
            or framing is Framing.CLOSE
            or (self._is_last and not self.buf)
            or "close" in tokens(fields.get("connection"))
            or self._may_bring_content
            or not (self.request_done or self._upload_ends_soon(received))
        )

    @property
    def _may_bring_content(self) -> bool:
        """Return whether this is a CONNECT after which content may come; if refused, that is no request."""
        return self.request.method == "CONNECT" and announced_size(self.request) != 0

    def _upload_ends_soon(self, received: Fields) -> bool:
        if "expect" in received and not self._sent_continue:
            return False  # unknown whether the body will be sent
        size = parse_length(received.get("content-length") or "0")
        return "transfer-encoding" not in received and size is not None and size <= DRAIN_LIMIT

    def _framed(self, data: bytes) -> bytes:
        return data if self.is_tunnel else self._body.piece(data)

    @property
    def is_tunnel(self) -> bool:
        """Return whether the connection no longer carries HTTP."""
        return bool(self.state == self.passthrough)

    def _send_end(self) -> CommandGenerator[None]:
        if end := self._body.end(self._trailers):
            yield commands.SendData(self.conn, end)
        if self._body.framing is Framing.CLOSE:
            resets.cut(self.conn, self.context, is_on=False)
        if self._body.missing and self.response:
            # the body was shorter than its Content-Length: only a close can show that
            self.response.headers["connection"] = "close"
        closes = self.response is not None and not persists(VERSION, fields_of(self.response.headers))
        if closes and (not self.request_done or self.buf or self._may_bring_content):
            yield from self.linger()
        else:
            yield from self.mark_done(response=True)
            if self._is_last and self.state == self.read_headers and not self.buf:
                yield commands.CloseConnection(self.conn)

    def _fail(self, event: ResponseProtocolError) -> CommandGenerator[None]:
        if not self.conn.state & ConnectionState.CAN_WRITE:
            return
        status = event.code.http_status_code()
        if isinstance(event, ClosedByProxy) and self.conn.state & ConnectionState.CAN_READ:
            yield from self.linger()
            return
        if self.response or status is None:
            if not self.is_tunnel:
                resets.withhold_alert(self.conn)
            yield commands.CloseConnection(self.conn)
            return
        response = error_response(status, event.message)
        if status == status_codes.BAD_REQUEST:
            response.headers["Connection"] = "close"
        yield from self._send_head(response, is_empty=False)
        if data := self._framed(response.raw_content or b""):
            yield commands.SendData(self.conn, data)
        yield from self._send_end()
