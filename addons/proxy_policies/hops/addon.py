"""The hops policy: first on the way in, nearest to the origin on the way back."""

from weakref import WeakKeyDictionary

from mitmproxy import http
from mitmproxy.connection import Client
from mitmproxy.proxy.mode_specs import ReverseMode, UpstreamMode

from proxy_policies import flow_state, trace
from proxy_policies.addresses import in_networks, parse_networks
from proxy_policies.fields import Fields
from proxy_policies.hops import connection, via
from proxy_policies.hops.forwarding import ClientInfo, Style, parse_names, with_forwarded, without_claims
from proxy_policies.hops.max_forwards import FinalHop, count_down
from proxy_policies.patches.asked_host import asked_host
from proxy_policies.settings import Setting, one_of

STYLES = {
    "off": Style.NONE,
    "forwarded": Style.FORWARDED,
    "x-forwarded": Style.X_FORWARDED,
    "both": Style.BOTH,
}
STANDARD_OPTIONS = ("close", *connection.HOP_BY_HOP)
"""Connection options that nobody asks about."""


class Hops:
    """Keeps to itself what is for one connection only, and says that it was here."""

    name = "hops"

    via_name = Setting(
        via.AUTO,
        via.parse_name,
        "Our name in Via, by which loops are found: auto makes one unique to this instance; empty turns it off.",
    )
    forwarded_headers = Setting(
        "auto",
        one_of("auto", *STYLES),
        "Tell origins whom a request is from: off, forwarded, x-forwarded, both; auto: both in reverse mode, else off",
    )
    forwarded_trust = Setting(
        (), parse_networks, "Networks of clients whose own Forwarded and X-Forwarded-* are added to, not replaced."
    )
    forwarded_drop = Setting(
        (),
        parse_names,
        "More fields only trusted clients may send in reverse mode, beside X-Real-IP and its family: X-User, X-Auth-*",
    )

    def __init__(self) -> None:
        self._connects: WeakKeyDictionary[Client, http.Request] = WeakKeyDictionary()

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Refuse a CONNECT that came by us before."""
        if flow.response is None and not self._refuse_loop(flow, Fields(flow.request.headers.fields)):
            self._connects[flow.client_conn] = flow.request

    def http_connect_upstream(self, flow: http.HTTPFlow) -> None:
        """Put on the CONNECT for the next proxy who passed on the client's, and our name."""
        if not self.via_name:
            return
        asked = self._connects.get(flow.client_conn, flow.request)
        passed = Fields(line for line in asked.headers.fields if line[0].lower() == b"via")
        fields = Fields((*flow.request.headers.fields, *passed.raw))
        flow.request.headers.fields = via.with_via(fields, self.via_name, asked.http_version).raw

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Refuse a loop; make the request ours to send."""
        request = flow.request
        fields = Fields(request.headers.fields)
        if flow.response or flow.error or self._refuse_loop(flow, fields):
            return
        counted = count_down(request.method, request.path, request.http_version, fields)
        if isinstance(counted, FinalHop):
            flow.response = _answer(counted)
            trace.note(flow, self.name, "answered", "Max-Forwards is 0")
            return
        if extra := [name for name in connection.named(counted) if name not in STANDARD_OPTIONS]:
            trace.note(flow, self.name, "removed", "Connection names them", fields=", ".join(extra))
        to_proxy = request.scheme == "http" and _is_upstream(flow)
        fields = connection.request_for_next_hop(
            counted, to_proxy=to_proxy, is_http1=request.is_http10 or request.is_http11
        )
        request.headers.fields = self._signed(flow, fields).raw

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Make an origin's response ours to send. What is answered here went over no hop."""
        response, origin = flow.response, flow_state.state_of(flow).origin
        if response is None or origin is None:
            return
        fields = connection.response_for_next_hop(
            Fields(response.headers.fields), response.status_code, from_proxy=_is_upstream(flow)
        )
        if self.via_name:
            fields = via.with_via(fields, self.via_name, origin.http_version)
        response.headers.fields = fields.raw

    def request(self, flow: http.HTTPFlow) -> None:
        """Hold the trailer section to what the fields are held to."""
        if flow.request.trailers and flow.is_replay != "request":
            trailers = _for_next_hop(flow.request.trailers, flow_state.state_of(flow).received)
            flow.request.trailers = http.Headers(self._without_claims(flow, trailers).raw)

    def response(self, flow: http.HTTPFlow) -> None:
        """Hold the trailer section to what the fields are held to."""
        origin = flow_state.state_of(flow).origin
        if flow.response and flow.response.trailers and origin:
            flow.response.trailers = http.Headers(_for_next_hop(flow.response.trailers, origin.fields).raw)

    def _refuse_loop(self, flow: http.HTTPFlow, fields: Fields) -> bool:
        """Answer 508 to a request that has our name on it, unless it was us who sent it again."""
        if not self.via_name or flow.is_replay == "request" or not via.lists(fields, self.via_name):
            return False
        text = f"The request came back to this proxy: {fields.get('Via')}\n"
        flow.response = http.Response.make(508, text, {"Content-Type": "text/plain; charset=utf-8"})
        trace.note(flow, self.name, "refused", "a loop: our name is in Via")
        return True

    def _signed(self, flow: http.HTTPFlow, fields: Fields) -> Fields:
        """Say whom the request is from and that we pass it on; once, however often it is sent again."""
        if self.via_name and via.lists(fields, self.via_name):
            return fields
        fields = self._with_sender(flow, fields)
        return via.with_via(fields, self.via_name, flow.request.http_version) if self.via_name else fields

    def _with_sender(self, flow: http.HTTPFlow, fields: Fields) -> Fields:
        client, is_reverse = flow.client_conn, _is_reverse(flow)
        if flow.is_replay == "request":
            return fields
        fields = self._without_claims(flow, fields)
        style = self._style(flow)
        if style is Style.NONE or not client.peername:
            return fields
        proto = ("https" if client.tls else "http") if is_reverse else flow.request.scheme
        sender = ClientInfo(client.peername[0], asked_host(flow.request), proto)
        return with_forwarded(fields, sender, style, trusted=self._trusts(flow))

    def _style(self, flow: http.HTTPFlow) -> Style:
        return STYLES.get(self.forwarded_headers, Style.BOTH if _is_reverse(flow) else Style.NONE)

    def _trusts(self, flow: http.HTTPFlow) -> bool:
        peer = flow.client_conn.peername
        return bool(peer) and in_networks(peer[0], self.forwarded_trust)

    def _without_claims(self, flow: http.HTTPFlow, fields: Fields) -> Fields:
        """Leave out what a client may not say of itself, where an origin would believe it."""
        is_believed = _is_reverse(flow) or self._style(flow) is not Style.NONE
        if not is_believed or self._trusts(flow):
            return fields
        return without_claims(fields, flow.request.method, self.forwarded_drop)


def _for_next_hop(trailers: http.Headers, head: Fields | None) -> Fields:
    """Leave out of a trailer section what the head said is for one hop only."""
    names = connection.named(head) if head is not None else ()
    return Fields(trailers.fields).without(names)


def _is_reverse(flow: http.HTTPFlow) -> bool:
    return isinstance(flow.client_conn.proxy_mode, ReverseMode)


def _is_upstream(flow: http.HTTPFlow) -> bool:
    return isinstance(flow.client_conn.proxy_mode, UpstreamMode)


def _answer(last: FinalHop) -> http.Response:
    return http.Response.make(200, last.body, {"Content-Type": last.media_type} if last.media_type else {})
