"""The hops policy: first for requests, nearest to the origin for responses."""

from weakref import WeakKeyDictionary

from mitmproxy import http
from mitmproxy.connection import Client
from mitmproxy.proxy.mode_specs import ReverseMode, UpstreamMode

from proxy_policies import trace
from proxy_policies.addresses import in_networks, parse_networks
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.fields import Fields, fields_of, set_fields
from proxy_policies.flows import flow_state
from proxy_policies.hops.forwarding import ClientInfo, Style, parse_names, without_claims
from proxy_policies.hops.max_forwards import LIMITED, FinalHop, count_down
from proxy_policies.hops.next_hop import (
    AUTO,
    Hop,
    lists_in_via,
    named,
    parse_via_name,
    request_passed_on,
    response_for_next_hop,
    with_via,
)
from proxy_policies.settings import Setting, one_of

STYLES = {
    "off": Style.NONE,
    "forwarded": Style.FORWARDED,
    "x-forwarded": Style.X_FORWARDED,
    "both": Style.BOTH,
}


class Hops:
    """Removes fields for one connection only, and adds the proxy's own."""

    name = "hops"
    fast_paths = NO_OBJECTION

    via_name = Setting(
        AUTO,
        parse_via_name,
        "Name of this proxy in Via, used to detect loops: auto makes a unique one; empty disables Via.",
    )
    forwarded_headers = Setting(
        "auto",
        one_of("auto", *STYLES),
        "Fields that name the client to origins: off, forwarded, x-forwarded, both; auto: both in reverse mode.",
    )
    forwarded_trust = Setting(
        (), parse_networks, "Networks of clients whose Forwarded and X-Forwarded-* fields are extended, not replaced."
    )
    forwarded_drop = Setting(
        (),
        parse_names,
        "Further fields that only trusted clients may send in reverse mode, such as X-User or X-Auth-*.",
    )

    def __init__(self) -> None:
        self._connects: WeakKeyDictionary[Client, http.Request] = WeakKeyDictionary()

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Refuse a CONNECT that has passed us before."""
        if flow.response is None and not self._refuse_loop(flow, fields_of(flow.request.data.headers)):
            self._connects[flow.client_conn] = flow.request

    def http_connect_upstream(self, flow: http.HTTPFlow) -> None:
        """Add the Via of the client's CONNECT, and our name, to the one for the next proxy."""
        if not self.via_name:
            return
        asked = self._connects.get(flow.client_conn, flow.request)
        passed = Fields(line for line in asked.headers.fields if line[0].lower() == b"via")
        fields = Fields((*flow.request.headers.fields, *passed.raw))
        flow.request.headers.fields = with_via(fields, self.via_name, asked.http_version).raw

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Refuse a loop; prepare the fields for the next hop."""
        request = flow.request
        if flow.response or flow.error or (request.method in LIMITED and self._is_final_hop(flow)):
            return
        passed = request_passed_on(request.data.headers.fields, self._hop(flow))
        if passed.is_loop:
            self._refuse_loop(flow, passed.fields)
            return
        if passed.removed:
            trace.note(flow, self.name, "removed", "Connection names them", fields=", ".join(passed.removed))
        set_fields(request.data.headers, passed.fields)

    def _is_final_hop(self, flow: http.HTTPFlow) -> bool:
        """Decrement a request's Max-Forwards, and answer if this is the last hop."""
        request, fields = flow.request, fields_of(flow.request.data.headers)
        if self._refuse_loop(flow, fields):
            return True
        counted = count_down(request.method, request.path, request.http_version, fields)
        if isinstance(counted, FinalHop):
            flow.response = _answer(counted)
            trace.note(flow, self.name, "answered", "Max-Forwards is 0")
            return True
        set_fields(request.headers, counted)
        return False

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Prepare an origin's response for the next hop. Responses made here passed no hop."""
        response, origin = flow.response, flow_state.state_of(flow).origin
        if response is None or origin is None:
            return
        data = response.data
        fields = response_for_next_hop(fields_of(data.headers), data.status_code, from_proxy=_is_upstream(flow))
        if self.via_name:
            fields = with_via(fields, self.via_name, origin.http_version)
        set_fields(data.headers, fields)

    def request(self, flow: http.HTTPFlow) -> None:
        """Apply the rules for fields to the trailer section."""
        if flow.request.trailers and flow.is_replay != "request":
            trailers = _for_next_hop(flow.request.trailers, flow_state.state_of(flow).received)
            if (claims := self._hop(flow).claims) is not None:
                trailers = without_claims(trailers, flow.request.method, claims)
            flow.request.trailers = http.Headers(trailers.raw)

    def response(self, flow: http.HTTPFlow) -> None:
        """Apply the rules for fields to the trailer section."""
        origin = flow_state.state_of(flow).origin
        if flow.response and flow.response.trailers and origin:
            flow.response.trailers = http.Headers(_for_next_hop(flow.response.trailers, origin.fields).raw)

    def _refuse_loop(self, flow: http.HTTPFlow, fields: Fields) -> bool:
        """Answer 508 to a request with our name in Via, unless we are sending it again."""
        if not self.via_name or flow.is_replay == "request" or not lists_in_via(fields, self.via_name):
            return False
        text = f"The request came back to this proxy: {fields.get('Via')}\n"
        flow.response = http.Response.make(508, text, {"Content-Type": "text/plain; charset=utf-8"})
        trace.note(flow, self.name, "refused", "a loop: our name is in Via")
        return True

    def _hop(self, flow: http.HTTPFlow) -> Hop:
        """Return the settings that decide how a request is forwarded."""
        request, mode = flow.request, flow.client_conn.proxy_mode
        is_reverse = type(mode) is ReverseMode
        style = STYLES.get(self.forwarded_headers, Style.BOTH if is_reverse else Style.NONE)
        trusts = bool(self.forwarded_trust) and self._trusts(flow)
        is_believed = is_reverse or style is not Style.NONE
        return Hop(
            request.method,
            request.http_version,
            type(mode) is UpstreamMode and request.scheme == "http",
            self.via_name,
            flow.is_replay == "request",
            None if style is Style.NONE or not flow.client_conn.peername else _sender(flow, is_reverse),
            style,
            trusts,
            self.forwarded_drop if is_believed and not trusts else None,
        )

    def _trusts(self, flow: http.HTTPFlow) -> bool:
        peer = flow.client_conn.peername
        return bool(peer) and in_networks(peer[0], self.forwarded_trust)


def _sender(flow: http.HTTPFlow, is_reverse: bool) -> ClientInfo:
    """Return the sender of a request."""
    client = flow.client_conn
    proto = ("https" if client.tls else "http") if is_reverse else flow.request.scheme
    return ClientInfo(client.peername[0], flow_state.requested_host(flow.request), proto)


def _for_next_hop(trailers: http.Headers, head: Fields | None) -> Fields:
    """Remove from a trailer section the fields that the head declares as hop-by-hop."""
    names = named(head) if head is not None else ()
    return Fields(trailers.fields).without(names)


def _is_upstream(flow: http.HTTPFlow) -> bool:
    return type(flow.client_conn.proxy_mode) is UpstreamMode


def _answer(last: FinalHop) -> http.Response:
    return http.Response.make(200, last.body, {"Content-Type": last.media_type} if last.media_type else {})
