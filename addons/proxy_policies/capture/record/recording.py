"""The recording of an exchange while it lasts, and its entry at the end."""

import time
from dataclasses import dataclass, replace

import orjson
from mitmproxy import http

from proxy_policies import trace
from proxy_policies.capture.formats import mitmproxy_flows
from proxy_policies.capture.model import NO_BODY, Body, Entry, Headers, Request, Response
from proxy_policies.capture.record.bounded_body import BoundedBody
from proxy_policies.capture.record.entry_lines import Repeatable
from proxy_policies.capture.streams.arrivals import Arrival
from proxy_policies.capture.streams.frames import may_be_framed
from proxy_policies.fields import fields_of
from proxy_policies.flows import flow_state
from proxy_policies.streaming.decision import known_length

_ANNOUNCING = frozenset(["content-length", "transfer-encoding"])


_NOTHING_SENT = BoundedBody(0)
"""The body of every request without one."""
_NOTHING_SENT.finish()


@dataclass(slots=True, eq=False)
class Recording:
    """The recording of one exchange while it lasts."""

    request: Request
    sent: BoundedBody
    origin: BoundedBody
    client: BoundedBody

    def watch(self, message: http.Message, body: BoundedBody) -> None:
        """Record when the bytes of a body arrive, if it may be a stream: of unknown length."""
        content_type = fields_of(message.headers).get("content-type") or ""
        if may_be_framed(content_type) and known_length(message) is None:
            body.time_arrivals(time.time)

    @property
    def arrivals(self) -> dict[str, list[Arrival]]:
        """The arrivals of bodies that may be streams, by field of the entry."""
        if not (self.sent.arrivals or self.client.arrivals):
            return {}
        found = {"request": self.sent.arrivals, "response": self.client.arrivals}
        return {name: arrivals for name, arrivals in found.items() if arrivals}

    @property
    def is_forwarded(self) -> bool:
        """Whether the client was sent the very body that was received from the origin."""
        origin, client = self.origin, self.client
        is_whole = origin.is_whole and client.is_whole and not (origin.dropped or client.dropped)
        return is_whole and origin.kept is client.kept

    @property
    def size(self) -> int:
        """Bytes of the bodies that were kept."""
        return len(self.sent.kept) + len(self.origin.kept) + len(self.client.kept)


def begin(flow: http.HTTPFlow, limit: int) -> Recording:
    """Return a new recording with the request as the client sent it; at most `limit` bytes of each body are kept."""
    received = flow_state.state_of(flow).received
    fields = received.raw if received else flow.request.headers.fields
    request = mitmproxy_flows.request_of(flow.request, mitmproxy_flows.to_headers(fields), NO_BODY)
    if _has_no_body(flow.request):
        return Recording(request, _NOTHING_SENT, BoundedBody(limit), BoundedBody(limit))
    begun = Recording(request, BoundedBody(limit), BoundedBody(limit), BoundedBody(limit))
    begun.watch(flow.request, begun.sent)
    return begun


def _has_no_body(request: http.Request) -> bool:
    """Return whether a request has no body, by its head; False unless HTTP/1 (RFC 9112 section 6.3)."""
    data = request.data
    is_http1 = data.http_version.startswith(b"HTTP/1")
    return is_http1 and not data.content and not fields_of(data.headers).has_any(_ANNOUNCING)


def recorded(flow: http.HTTPFlow, recording: Recording) -> tuple[Entry, dict[str, list[Arrival]]]:
    """Return the exchange as an entry, and the arrivals of its bodies."""
    return entry_of(flow, recording), recording.arrivals


def repeatable(flow: http.HTTPFlow, recording: Recording) -> Repeatable | None:
    """Return what the entry of the exchange is made of, to find an equal one; None if it is unusual."""
    request, response, origin = recording.request, flow.response, flow_state.state_of(flow).origin
    body = recording.client
    if response is None or response.data.trailers or flow.error or flow.websocket or not body.is_whole or body.dropped:
        return None
    if recording.sent is not _NOTHING_SENT or recording.arrivals or request.target or not flow.id:
        return None
    if origin is not None and not recording.is_forwarded:
        return None
    data = response.data
    head = (data.status_code, data.reason, data.http_version, data.headers.fields)
    received = None if origin is None else (origin.status, origin.reason, origin.http_version, origin.fields.raw)
    try:
        notes = orjson.dumps((trace.notes(flow), flow.comment))
    except TypeError:
        return None
    sent = (request.method, request.version, request.headers)
    key = (sent, head, bytes(body.kept), received, notes, mitmproxy_flows.sides_of(flow))
    return Repeatable(key, request.url, mitmproxy_flows.times_of(flow), flow.id)


def entry_of(flow: http.HTTPFlow, recording: Recording) -> Entry:
    """Return the exchange as an entry, with its bodies as sent."""
    head, state = recording.request, flow_state.state_of(flow)
    by = ("client" if state.client_left else "server") if flow.error else ""
    body = _body(recording.sent, "" if flow.request.data.timestamp_end else by)
    trailers = flow.request.data.trailers
    request = head
    if body is not NO_BODY or trailers:
        fields = mitmproxy_flows.to_headers(trailers.fields) if trailers else ()
        request = Request(head.method, head.url, head.headers, body, head.version, fields, head.target)
    response = Response(0)
    if flow.response is not None:
        response = mitmproxy_flows.response_of(flow.response, _body(recording.client, by))
    origin = _changed_origin(flow, state.origin, recording, response, by)
    entry = mitmproxy_flows.entry_of(flow, request, response, origin)
    if state.origin is not None or flow.response is None:
        return entry
    return replace(entry, connection_info={**entry.connection_info, "answered_by": "policy"})


def origin_entry_of(flow: http.HTTPFlow, recording: Recording) -> Entry:
    """Return the exchange as an entry with the origin's response, and bodies as sent."""
    request = replace(recording.request, body=_body(recording.sent, ""))
    head = flow_state.state_of(flow).origin
    return mitmproxy_flows.entry_of(flow, request, _origin(head, _body(recording.origin, "")) if head else Response(0))


def _changed_origin(
    flow: http.HTTPFlow, head: flow_state.OriginHead | None, recording: Recording, response: Response, by: str
) -> Response | None:
    """Return the origin's response; None if the client received it unchanged."""
    if head is None:
        return None
    body = response.body if recording.is_forwarded else _body(recording.origin, by)
    if body == response.body:
        if flow.response is not None and _has_head(flow.response, head):
            return None
        body = response.body
    origin = _origin(head, body, response.trailers)
    return None if origin == response else origin


def _origin(head: flow_state.OriginHead, body: Body, trailers: Headers = ()) -> Response:
    headers, version = mitmproxy_flows.to_headers(head.fields.raw), mitmproxy_flows.version_of(head.http_version)
    return Response(head.status, head.reason, headers, body, version, trailers)


def _has_head(response: http.Response, head: flow_state.OriginHead) -> bool:
    """Return whether a response has the origin's head, byte by byte; a fast check."""
    data = response.data
    is_same = data.headers.fields == head.fields.raw and data.status_code == head.status
    return is_same and response.reason == head.reason and response.http_version == head.http_version


def _body(collected: BoundedBody, by: str) -> Body:
    """Return a body as it was sent; `by` names the peer that aborted the exchange, if any."""
    cut, data = "" if collected.is_whole else by, bytes(collected.kept)
    if collected.dropped:
        return Body(data, dropped=collected.dropped, sha256=collected.sha256, cut=cut)
    return Body(data, cut=cut) if data or cut else NO_BODY
