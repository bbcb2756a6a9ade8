"""Reports tunnels, which only hooks see; requests are reported where they end."""

from __future__ import annotations

from mitmproxy import ctx, http, tcp, udp
from mitmproxy.connection import Client
from mitmproxy.proxy.mode_specs import RegularMode, UpstreamMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_policies import flow_state
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.finished import reporting
from proxy_policies.finished.flow_records import (
    asked_of,
    message_bytes,
    of_failed_tunnel,
    of_request,
    of_stream,
    user_of,
)
from proxy_policies.hook_conditions import only_if

ASKED_FIRST = (RegularMode, UpstreamMode)
"""Modes in which a client says in HTTP where it wants to go."""
PROXY_ENDED = "the proxy has ended"
"""The error of what was under way then."""


class FinishedFlows:
    """Reports tunnels: those that are untouched, and those that were opened for what is asked inside."""

    name = "finished-flows"
    fast_paths = NO_OBJECTION

    def __init__(self) -> None:
        self._connected: dict[str, list[http.HTTPFlow]] = {}
        """CONNECTs that were answered, by the id of their client: nobody knows yet what they are for."""

        self.streams: dict[str, tcp.TCPFlow | udp.UDPFlow] = {}
        """Tunnels and other streams that are open, by their ids."""

    @property
    def is_wanted(self) -> bool:
        """Return whether anybody wants to know."""
        return bool(reporting.SUBSCRIBERS or self._connected or self.streams)

    @only_if("is_wanted")
    def http_connected(self, flow: http.HTTPFlow) -> None:
        """Note a CONNECT."""
        self._connected.setdefault(flow.client_conn.id, []).append(flow)

    @only_if("is_wanted")
    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Report a CONNECT that was refused."""
        if flow.response is not None:
            response = flow.response
            what = of_request(flow, asked_of(flow.request), response.status_code, len(response.raw_content or b""), 0)
            reporting.report(what)

    @only_if("is_wanted")
    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        """Report a tunnel that could not be opened before anything was asked in it: nobody has a flow of it.

        As with SOCKS and in transparent mode; where something is asked first, that fails, and is reported.
        """
        if ctx.options.connection_strategy != "eager" or isinstance(data.client.proxy_mode, ASKED_FIRST):
            return
        if not any(request.client_id == data.client.id for request in reporting.UNDER_WAY):
            reporting.report(of_failed_tunnel(data))

    @only_if("is_wanted")
    def tcp_start(self, flow: tcp.TCPFlow) -> None:
        """Note a stream, which stands for the CONNECT in which it is."""
        self.streams[flow.id] = flow
        if waiting := self._connected.get(flow.client_conn.id):
            flow_state.state_of(flow).user = user_of(connect := waiting.pop(), flow_state.state_of(connect))

    @only_if("is_wanted")
    def client_disconnected(self, client: Client) -> None:
        """Report the CONNECTs of a client inside of which something was asked, or nothing."""
        for flow in self._connected.pop(client.id, ()):
            what = of_request(flow, asked_of(flow.request), 200, None, None)
            what.is_tunnel, what.upstream = True, flow.server_conn.peername
            what.error = what.error or client.error or ""
            reporting.report(what)

    def done(self) -> None:
        """Report what is still under way: nobody will be there when it ends."""
        for request in list(reporting.UNDER_WAY):
            request.report_now(PROXY_ENDED)
        for stream in list(self.streams.values()):
            self._ended(stream, PROXY_ENDED)

    @only_if("is_wanted")
    def tcp_end(self, flow: tcp.TCPFlow) -> None:
        """Report a stream."""
        self._ended(flow)

    @only_if("is_wanted")
    def tcp_error(self, flow: tcp.TCPFlow) -> None:
        """Report a stream that broke off."""
        self._ended(flow)

    @only_if("is_wanted")
    def udp_start(self, flow: udp.UDPFlow) -> None:
        """Note a stream of datagrams."""
        self.streams[flow.id] = flow

    @only_if("is_wanted")
    def udp_end(self, flow: udp.UDPFlow) -> None:
        """Report a stream of datagrams."""
        self._ended(flow)

    @only_if("is_wanted")
    def udp_error(self, flow: udp.UDPFlow) -> None:
        """Report a stream of datagrams that broke off."""
        self._ended(flow)

    def _ended(self, flow: tcp.TCPFlow | udp.UDPFlow, error: str = "") -> None:
        self.streams.pop(flow.id, None)
        if reporting.SUBSCRIBERS:
            what = of_stream(flow)
            what.error = error or what.error
            reporting.report(what)

    @only_if("is_wanted")
    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Report a request that became a WebSocket connection."""
        up, down = message_bytes(flow, flow.websocket.messages if flow.websocket else ())
        asked = flow_state.state_of(flow).asked or asked_of(flow.request)
        reporting.report(of_request(flow, asked, 101, down, up))
