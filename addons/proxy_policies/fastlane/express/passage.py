"""One request and its response on the express lane: what mitmproxy's layers would do, where they do nothing special.

Every step says whether it is as plain as that; if not, it has changed nothing that the layers would not have.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from mitmproxy import http
from mitmproxy.net.http import url
from mitmproxy.proxy.commands import SendData

from proxy_policies import flow_state
from proxy_policies.fastlane.express.heads import RequestHead, ResponseHead, read_request, read_response
from proxy_policies.fastlane.express.place import Place, Upstream, destination
from proxy_policies.fields import Fields, RawFields
from proxy_policies.patches import asked_host
from proxy_policies.patches.messages import VERSION, Framing, frame_request, frame_response, persists, with_persistence
from proxy_policies.validity import would_split

RAW_VERSION = VERSION.encode()


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it was sent, and where to."""

    upstream: Upstream
    method: bytes
    path: bytes
    fields: RawFields
    body: bytes


@dataclass(slots=True)
class Passage:
    """An exchange under way."""

    place: Place
    received: bytes
    """What came from the client."""
    head: RequestHead
    flow: http.HTTPFlow
    sent: Sent | None = None
    answered: list[bytes] = field(default_factory=list)
    """What came from the origin."""
    missing: int = 0
    """What is still to come of the response's body, bytes."""
    response: ResponseHead | None = None
    """None also when an addon answers."""

    @property
    def is_bare(self) -> bool:
        """Return whether the client sent no body."""
        return not self.head.body

    def is_plain_request(self) -> bool:
        """Say, after the hook for its head, whether the request goes on as it would without that."""
        flow = self.flow
        if flow.error or "expect" in Fields(flow.request.headers.fields):
            return False
        return self.is_bare or not (flow.response or flow.request.stream)

    def end_request(self) -> None:
        """Return the request its body."""
        request = self.flow.request
        request.timestamp_end = time.time()
        request.data.content = self.head.body

    def send(self) -> SendData | None:
        """Send the request on the connection that is there for it; None when that takes more."""
        flow = self.flow
        if flow.error or (upstream := self.place.upstream(flow)) is None:
            return None
        if (fields := _framed(flow.request)) is None:
            return None
        data = flow.request.data
        self.sent = Sent(upstream, data.method, data.path, fields, data.content or b"")
        flow.server_conn = upstream.connection
        self.place.occupy(True)
        start = b"%s %s %s\r\n" % (data.method, data.path, RAW_VERSION)
        return SendData(upstream.connection, b"%s%s\r\n%s" % (start, _lines(fields), self.sent.body))

    def receive(self, data: bytes) -> bool:
        """Read the origin's answer; False when it is not plain, or not there yet."""
        method = self.sent.method.decode("latin-1").upper() if self.sent else ""
        self.response = head = read_response(data, method)
        if head is None:
            return False
        self.answered, self.missing = [data], head.size - len(head.body)
        headers, now = http.Headers(head.fields), time.time()
        self.flow.response = http.Response(RAW_VERSION, head.status, head.reason, headers, None, None, now, None)
        return True

    def receive_more(self, data: bytes) -> bool:
        """Take more of the response's body; False when it is more than there should be."""
        if len(data) > self.missing:
            return False
        self.answered.append(data)
        self.missing -= len(data)
        return True

    def is_plain_response(self) -> bool:
        """Say, after the hook for its head, whether the response goes on as it would without that."""
        response = self.flow.response
        if self.flow.error or response is None or response.stream or response.status_code < 200:
            return False
        return flow_state.state_of(self.flow).source is None

    def end_response(self) -> None:
        """Return the response its body, if it came from the origin."""
        response, head = self.flow.response, self.response
        if response is None:
            return
        if head is not None:
            response.data.content = b"".join([head.body, *self.answered[1:]])
        response.timestamp_end = time.time()

    def answer(self) -> SendData | None:
        """Send the response, which ends the exchange; None when that takes more."""
        response = self.flow.response
        if self.flow.error or response is None or (data := _written(response, self.head.method.decode())) is None:
            return None
        self.flow.live = False
        self.place.side.stream_id += 2
        self.place.occupy(False)
        return SendData(self.flow.client_conn, data)


def begin(place: Place, data: bytes) -> Passage | None:
    """Make a flow of what came from the client, if it is one plain request as it is asked here."""
    head = read_request(data)
    if head is None or bool(head.authority) is place.is_reverse:
        return None
    context, to = place.context, destination(head.authority) if head.authority else place.context.server.address
    if to is None:
        return None
    flow = http.HTTPFlow(context.client, context.server)
    fields, now = http.Headers(head.fields), time.time()
    flow.request = request = http.Request(
        to[0], to[1], head.method, b"http", b"", head.path, RAW_VERSION, fields, None, None, now, None
    )
    flow.live = True
    asked_host.note(request)
    if place.is_reverse and not context.options.keep_host_header:
        request.host_header = url.hostport("http", to[0], to[1])
    return Passage(place, data, head, flow)


def _framed(request: http.Request) -> RawFields | None:
    """Return a request's fields as they are to be sent; None when there is more to it than fields."""
    data, fields = request.data, Fields(request.headers.fields)
    if data.http_version != RAW_VERSION or data.authority or data.content is None or data.trailers:
        return None
    if "host" not in fields or not persists(VERSION, fields) or data.method.upper() == b"CONNECT":
        return None
    head = frame_request(fields, length=len(data.content), is_empty=not data.content)
    return None if head.framing is Framing.CHUNKED else head.fields.raw


def _written(response: http.Response, method: str) -> bytes | None:
    """Write a response as it is to be sent; None when there is more to it than fields."""
    data = response.data
    body, status = data.content, data.status_code
    if body is None or data.trailers or not data.reason or status < 200:
        return None
    fields = Fields(response.headers.fields)
    head = frame_response(fields, method=method, status=status, version=VERSION, length=len(body))
    if head.framing not in (Framing.NONE, Framing.LENGTH) or not persists(VERSION, head.fields):
        return None
    fields = with_persistence(head.fields, VERSION, closes=False)
    if would_split((*fields.raw, (b"", data.reason))):
        return None
    start = b"%s %d %s\r\n%s\r\n" % (RAW_VERSION, status, data.reason, _lines(fields.raw))
    return start if head.framing is Framing.NONE else start + body


def _lines(fields: RawFields) -> bytes:
    return b"".join([b"%s: %s\r\n" % line for line in fields])
