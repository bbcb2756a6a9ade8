"""What is collected of an exchange while it lives, and the entry it makes in the end."""

from dataclasses import dataclass, replace

from mitmproxy import http

from proxy_policies import exchange
from proxy_policies.capture import flows
from proxy_policies.capture.bodies import body_of
from proxy_policies.capture.collector import Collector
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response


@dataclass(slots=True, eq=False)
class Recording:
    """What is collected of one exchange while it lives."""

    request: Request
    sent: Collector
    origin: Collector
    client: Collector
    ended: bool = False


def begin(flow: http.HTTPFlow, limit: int) -> Recording:
    """Begin with the request as the client sent it; of each body, at most `limit` octets will be kept."""
    received = exchange.of(flow).received
    fields = received.raw if received else flow.request.headers.fields
    request = flows.request_of(flow.request, flows.to_headers(fields), Body())
    return Recording(request, Collector(limit), Collector(limit), Collector(limit))


def entry_of(flow: http.HTTPFlow, recording: Recording) -> Entry:
    """Return the exchange as it is to be written."""
    head = recording.request
    request = Request(
        head.method,
        head.url,
        head.headers,
        _body(recording.sent, head.headers),
        head.version,
        flows.to_headers(flow.request.trailers.fields) if flow.request.trailers else (),
        head.target,
    )
    response = Response(0)
    if flow.response is not None:
        headers = flows.to_headers(flow.response.headers.fields)
        response = flows.response_of(flow.response, _body(recording.client, headers))
    entry = flows.entry_of(flow, request, response, _changed_origin(flow, recording, response))
    if exchange.of(flow).origin is not None or flow.response is None:
        return entry
    return replace(entry, facts={**entry.facts, "answered_by": "policy"})


def _changed_origin(flow: http.HTTPFlow, recording: Recording, response: Response) -> Response | None:
    """Return what the origin sent, or None when the client got just that."""
    head = exchange.of(flow).origin
    if head is None:
        return None
    headers = flows.to_headers(head.fields.raw)
    version = flows.version_of(head.http_version)
    origin = Response(head.status, head.reason, headers, _body(recording.origin, headers), version, response.trailers)
    return None if origin == response else origin


def _body(collected: Collector, headers: Headers) -> Body:
    if collected.lost:
        return Body(collected.data, lost=collected.lost, sha256=collected.sha256)
    return body_of(collected.data, headers)
