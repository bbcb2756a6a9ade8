"""Reports tunnels, by hooks; requests are reported by the code that ends them."""

from __future__ import annotations

from typing import Any, ClassVar
from weakref import WeakSet

from mitmproxy import ctx, http, tcp, udp
from mitmproxy.connection import Client
from mitmproxy.proxy.mode_specs import RegularMode, UpstreamMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.finished import reporting
from proxy_policies.finished.flow_records import (
    message_bytes,
    of_failed_tunnel,
    of_refused_connect,
    of_request,
    of_stream,
    summary_of,
    user_of,
)
from proxy_policies.flows import flow_state
from proxy_policies.hook_conditions import only_if

CONNECT_MODES = (RegularMode, UpstreamMode)
"""Modes in which a client names its destination in an HTTP request."""


class FinishedFlows:
    """Reports tunnels: untouched ones, and those with requests inside."""

    name = "finished-flows"
    fast_paths = NO_OBJECTION

    _connected: ClassVar[dict[str, list[http.HTTPFlow]]] = {}
    """CONNECTs that were answered, by their client's id: whether requests follow is not known yet."""
    _streams: ClassVar[WeakSet[tcp.TCPFlow | udp.UDPFlow]] = WeakSet()
    """Streams that began while there were subscribers; those that end while there are none are not taken out.

    Both are shared: when the script is loaded again, tunnels stay open.
    """

    def __init__(self) -> None:
        self.subscribers = reporting.SUBSCRIBERS

    @property
    def streams(self) -> list[tcp.TCPFlow | udp.UDPFlow]:
        """The open tunnels and other streams, oldest first."""
        return sorted((stream for stream in self._streams if stream.live), key=lambda stream: stream.timestamp_created)

    @only_if("subscribers")
    def http_connected(self, flow: http.HTTPFlow) -> None:
        """Note a CONNECT."""
        self._connected.setdefault(flow.client_conn.id, []).append(flow)

    @only_if("subscribers")
    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Report a CONNECT that was refused."""
        if flow.response is not None:
            reporting.report(of_refused_connect(flow, flow.response))

    @only_if("subscribers")
    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        """Report a tunnel that could not be opened and has no flow, as with SOCKS and in transparent mode.

        If there was a request first, that fails and is reported instead.
        """
        if ctx.options.connection_strategy != "eager" or isinstance(data.client.proxy_mode, CONNECT_MODES):
            return
        if not any(request.client_id == data.client.id for request in _in_progress()):
            record = of_failed_tunnel(data)
            record.user = _socks_user(data.client)
            reporting.report(record)

    @only_if("subscribers")
    def tcp_start(self, flow: tcp.TCPFlow) -> None:
        """Note a stream; it is reported instead of the CONNECT that opened it."""
        self._streams.add(flow)
        if waiting := self._connected.get(flow.client_conn.id):
            user = user_of(connect := waiting.pop(), flow_state.state_of(connect))
        else:
            user = _socks_user(flow.client_conn)
        flow_state.state_of(flow).user = user

    @only_if("_connected")
    def client_disconnected(self, client: Client) -> None:
        """Report the CONNECTs of a client with requests inside, or without any data."""
        for flow in self._connected.pop(client.id, ()):
            record = of_request(flow, summary_of(flow.request), 200, None, None)
            record.is_tunnel, record.upstream = True, flow.server_conn.peername
            record.error = record.error or client.error or ""
            reporting.report(record)

    def done(self) -> None:
        """Report the requests and streams in progress if the proxy ends, and not if the script is loaded again."""
        if not ctx.master.should_exit.is_set():
            return
        if reporting.SUBSCRIBERS:
            for request in _in_progress():
                request.report_now(reporting.PROXY_ENDED)
        for stream in self.streams:
            self._report_stream(stream, reporting.PROXY_ENDED)
        self.subscribers = []  # no stream is reported again when it ends after this

    @only_if("subscribers")
    def tcp_end(self, flow: tcp.TCPFlow) -> None:
        """Report a stream."""
        self._report_stream(flow)

    @only_if("subscribers")
    def tcp_error(self, flow: tcp.TCPFlow) -> None:
        """Report a stream that ended with an error."""
        self._report_stream(flow)

    @only_if("subscribers")
    def udp_start(self, flow: udp.UDPFlow) -> None:
        """Note a stream of datagrams."""
        self._streams.add(flow)

    @only_if("subscribers")
    def udp_end(self, flow: udp.UDPFlow) -> None:
        """Report a stream of datagrams."""
        self._report_stream(flow)

    @only_if("subscribers")
    def udp_error(self, flow: udp.UDPFlow) -> None:
        """Report a stream of datagrams that ended with an error."""
        self._report_stream(flow)

    def _report_stream(self, flow: tcp.TCPFlow | udp.UDPFlow, error: str = "") -> None:
        self._streams.discard(flow)
        if self.subscribers:
            record = of_stream(flow)
            record.error = error or record.error
            reporting.report(record)

    @only_if("subscribers")
    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Report a request that became a WebSocket connection."""
        up, down = message_bytes(flow, flow.websocket.messages if flow.websocket else ())
        request = flow_state.state_of(flow).original_request or summary_of(flow.request)
        record = of_request(flow, request, 101, down, up)
        record.error = record.error or flow.client_conn.error or ""
        reporting.report(record)


def _socks_user(client: Client) -> str:
    """Return the user whom mitmproxy's proxyauth has authenticated by SOCKS; "" if none."""
    authenticated = getattr(ctx.master.addons.get("proxyauth"), "authenticated", {})
    return str(authenticated[client][0]) if client in authenticated else ""


def _in_progress() -> list[reporting.InProgress]:
    """Return the requests in progress, in mitmproxy's layers and without them."""
    fastlane: Any = ctx.master.addons.get("fastlane")
    return [*reporting.IN_PROGRESS, *(fastlane.exchanges() if fastlane is not None else ())]
