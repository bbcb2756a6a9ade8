"""Creates the records of flows that have ended."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from mitmproxy import flow as flows
from mitmproxy import http, tcp, udp
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_policies import trace
from proxy_policies.addresses import SocketAddress, format_target
from proxy_policies.fields import fields_of
from proxy_policies.finished.reporting import CLIENT_CLOSED, Record
from proxy_policies.flows import flow_state
from proxy_policies.flows.request_summary import LONGEST_TEXT, RequestSummary
from proxy_policies.version import NAME

_STATUS = re.compile(rf"\b{NAME}; (?:(hit)|fwd=([a-z-]+))")
"""Our member of Cache-Status (RFC 9211)."""


def summary_of(request: http.Request) -> RequestSummary:
    """Return the summary of a request; call it before addons can change the request."""
    data = request.data
    target = data.path
    if data.method == b"CONNECT":
        target = data.authority or format_target(data.host, data.port).encode("utf-8", "surrogateescape")
    elif data.authority:
        path = b"" if data.path == b"*" else data.path  # RFC 9112, section 3.2.4
        target = b"%s://%s%s" % (data.scheme, data.authority, path)
    made = RequestSummary.of(data.method, target, data.http_version, data.headers.fields)
    made.host = made.host or data.authority[:LONGEST_TEXT]
    return made


def of_request(
    flow: http.HTTPFlow, request: RequestSummary, status: int, sent: int | None, received: int | None
) -> Record:
    """Return the record of a request that has just ended."""
    now, started = time.time(), flow.request.data.timestamp_start
    record = Record(request, flow.client_conn.peername, started, now - started, status, sent, received)
    state, response = flow_state.state_of(flow), flow.response
    fields = state.error_fields if response is None else fields_of(response.data.headers)
    record.user, record.plain, record.is_tls = user_of(flow, state), state.plain, flow.client_conn.tls
    if state.cache_transaction is not None:
        record.cache = _word(fields.get("cache-status") or "") or _noted(flow, state)
    if response is not None and (encoding := fields.get("content-encoding")):
        record.encoding = encoding[:LONGEST_TEXT]
    if flow.error:
        record.error = flow.error.msg[:LONGEST_TEXT]
    if state.origin is not None or record.error:
        _add_upstream(record, flow)
    if not status and state.client_left and not flow.client_conn.error:
        record.status = CLIENT_CLOSED
    return record


def of_refused_connect(flow: http.HTTPFlow, response: http.Response) -> Record:
    """Return the record of a CONNECT with a response that does not open a tunnel."""
    record = of_request(flow, summary_of(flow.request), response.status_code, len(response.raw_content or b""), 0)
    if flow.server_conn.error:
        record.error, record.upstream = flow.server_conn.error[:LONGEST_TEXT], flow.server_conn.address
    if _has_left(flow.client_conn):
        record.status, record.sent = CLIENT_CLOSED, 0
    return record


def of_refusal(client: Client, status: int, why: str) -> Record:
    """Return the record of an invalid request that was just refused."""
    return Record(RequestSummary(), client.peername, time.time(), 0.0, status, error=why[:LONGEST_TEXT])


def user_of(flow: flows.Flow, state: flow_state.FlowState) -> str:
    """Return the user whom mitmproxy's proxyauth has authenticated, or the user who opened the tunnel; "" if none."""
    credentials = flow.metadata.get("proxyauth")
    return str(credentials[0]) if credentials else state.user


def _noted(flow: http.HTTPFlow, state: flow_state.FlowState) -> str:
    """Return the word of Cache-Status from the cache's note, as a rule may have removed the field."""
    noted = next((note["fwd"] for note in reversed(trace.notes(flow)) if "fwd" in note), "")
    return "hit" if state.hit else str(noted)


@lru_cache(256)
def _word(status: str) -> str:
    """Return `hit` or the reason for forwarding from our last member of Cache-Status; "" if there is none."""
    found = _STATUS.findall(status)
    return "".join(found[-1]) if found else ""


def _add_upstream(record: Record, flow: http.HTTPFlow) -> None:
    server, request, response = flow.server_conn, flow.request.data, flow.response
    record.upstream = server.peername or server.address
    if record.upstream is None and record.status >= 500:
        record.upstream = (request.host, request.port)  # which could not be reached
    begun, connected = server.timestamp_start, server.timestamp_tcp_setup
    if begun and connected and begun >= request.timestamp_start:
        record.connect_seconds = max(0.0, connected - begun)
    end = request.timestamp_end
    if response is not None and end and (answered := response.data.timestamp_start):
        record.upstream_seconds = answered - end if answered > end else 0.0


def of_stream(flow: tcp.TCPFlow | udp.UDPFlow) -> Record:
    """Return the record of a tunnel, or of another stream, that has just ended."""
    now = time.time()
    up, down = bytes_of(flow)
    error = flow.error.msg if flow.error else ""
    started, is_open = flow.timestamp_created, flow.server_conn.timestamp_tcp_setup is not None or not error
    status = 200 if is_open else 502
    request, client = RequestSummary(b"CONNECT", _target(flow.server_conn)), flow.client_conn
    record = Record(request, client.peername, started, now - started, status, down, up)
    record.is_tunnel, record.upstream = True, _peer(flow)
    record.user, record.error = user_of(flow, flow_state.state_of(flow)), error[:LONGEST_TEXT]
    return record


def of_failed_tunnel(data: ServerConnectionHookData) -> Record:
    """Return the record of a tunnel that could not be opened."""
    now, server = time.time(), data.server
    started = server.timestamp_start or now
    status = CLIENT_CLOSED if _has_left(data.client) else 502
    record = Record(
        RequestSummary(b"CONNECT", _target(server)), data.client.peername, started, now - started, status, 0, 0
    )
    record.is_tunnel, record.upstream = True, server.address
    record.error = (server.error or "")[:LONGEST_TEXT]
    return record


def _has_left(client: Client) -> bool:
    """Return whether a client has reset or closed its connection, so that a dial for it was given up."""
    return client.state is ConnectionState.CLOSED and not client.error


def _target(server: Server) -> bytes:
    host, port, *_ = server.address or ("", 0)
    return format_target(str(host), int(port)).encode("utf-8", "surrogateescape")


def _peer(flow: flows.Flow) -> SocketAddress | None:
    return flow.server_conn.peername or flow.server_conn.address


def bytes_of(flow: tcp.TCPFlow | udp.UDPFlow) -> tuple[int, int]:
    """Return the number of bytes received from the client, and of those sent to it."""
    if tunnel := flow_state.state_of(flow).tunnel:
        return tunnel.up, tunnel.down
    for note in reversed(trace.notes(flow)):
        if "up" in note and "down" in note:  # a session of the reverse tunnel
            return note["up"], note["down"]
    return message_bytes(flow, flow.messages)


def message_bytes(flow: flows.Flow, messages: Iterable[Any]) -> tuple[int, int]:
    """Return the bytes of a stream's messages, from the client and to it, including those removed from the flow."""
    sizes = Counter(flow_state.state_of(flow).removed)
    for message in messages:
        sizes[message.from_client] += len(message.content)
    return sizes[True], sizes[False]
