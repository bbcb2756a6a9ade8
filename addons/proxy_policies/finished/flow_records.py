"""Makes the records of flows that have ended."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from mitmproxy import flow as flows
from mitmproxy import http, tcp, udp
from mitmproxy.connection import Client, Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_policies import flow_state, trace
from proxy_policies.addresses import format_target
from proxy_policies.asked import LONGEST_TEXT, Asked
from proxy_policies.fields import fields_of
from proxy_policies.finished.reporting import CLIENT_CLOSED, Address, Finished
from proxy_policies.version import NAME

_STATUS = re.compile(rf"\b{NAME}; (?:(hit)|fwd=([a-z-]+))")
"""Our member of Cache-Status."""


def asked_of(request: http.Request) -> Asked:
    """Return what a client asked for, while nobody has changed it."""
    data = request.data
    target = data.path
    if data.method == b"CONNECT":
        target = data.authority or format_target(data.host, data.port).encode("utf-8", "surrogateescape")
    elif data.authority:
        target = b"%s://%s%s" % (data.scheme, data.authority, data.path)
    made = Asked.of(data.method, target, data.http_version, data.headers.fields)
    return made if made.host else made._replace(host=data.authority[:LONGEST_TEXT])


def of_request(flow: http.HTTPFlow, asked: Asked, status: int, sent: int | None, received: int | None) -> Finished:
    """Make the record of a request that has ended just now."""
    now, started = time.time(), flow.request.data.timestamp_start
    what = Finished(asked, flow.client_conn.peername, started, now - started, status, sent, received)
    state, response = flow_state.state_of(flow), flow.response
    fields = state.error_fields if response is None else fields_of(response.data.headers)
    what.user, what.plain, what.is_tls = user_of(flow, state), state.plain, flow.client_conn.tls
    if state.cache_transaction is not None:
        what.cache = _word(fields.get("cache-status") or "") or _noted(flow, state)
    if response is not None and (encoding := fields.get("content-encoding")):
        what.encoding = encoding[:LONGEST_TEXT]
    if flow.error:
        what.error = flow.error.msg[:LONGEST_TEXT]
    if state.origin is not None or what.error:
        _add_upstream(what, flow)
    if not status and state.client_left:
        what.status = CLIENT_CLOSED
    return what


def of_refusal(client: Client, status: int, why: str) -> Finished:
    """Make the record of what came in place of a request, and was refused just now."""
    return Finished(Asked(), client.peername, time.time(), 0.0, status, error=why[:LONGEST_TEXT])


def user_of(flow: flows.Flow, state: flow_state.FlowState) -> str:
    """Return who asked, as mitmproxy's proxyauth knows it, or who opened the tunnel."""
    known = flow.metadata.get("proxyauth")
    return str(known[0]) if known else state.user


def _noted(flow: http.HTTPFlow, state: flow_state.FlowState) -> str:
    """Return the word that Cache-Status would say, where a rule has taken it away: that of the note about it."""
    noted = next((note["fwd"] for note in reversed(trace.notes(flow)) if "fwd" in note), "")
    return "hit" if state.hit else str(noted)


@lru_cache(256)
def _word(status: str) -> str:
    """Return what the last of our members of a Cache-Status says; "" where there is none."""
    found = _STATUS.findall(status)
    return "".join(found[-1]) if found else ""


def _add_upstream(what: Finished, flow: http.HTTPFlow) -> None:
    server, request, response = flow.server_conn, flow.request.data, flow.response
    what.upstream = server.peername or server.address
    if what.upstream is None and what.status >= 500:
        what.upstream = (request.host, request.port)  # which could not be reached
    begun, connected = server.timestamp_start, server.timestamp_tcp_setup
    if begun and connected and begun >= request.timestamp_start:
        what.connect_seconds = max(0.0, connected - begun)
    if response is not None and request.timestamp_end and (answered := response.data.timestamp_start):
        what.upstream_seconds = max(0.0, answered - request.timestamp_end)


def of_stream(flow: tcp.TCPFlow | udp.UDPFlow) -> Finished:
    """Make the record of a tunnel, or of another stream, that has ended just now."""
    now = time.time()
    up, down = bytes_of(flow)
    error = flow.error.msg if flow.error else ""
    started, is_open = flow.timestamp_created, flow.server_conn.timestamp_tcp_setup is not None or not error
    status = 200 if is_open else 502
    asked, client = Asked(b"CONNECT", _target(flow.server_conn)), flow.client_conn
    what = Finished(asked, client.peername, started, now - started, status, down, up)
    what.is_tunnel, what.user, what.error = (
        True,
        user_of(flow, flow_state.state_of(flow)),
        error[:LONGEST_TEXT],
    )
    what.upstream = _peer(flow)
    return what


def of_failed_tunnel(data: ServerConnectionHookData) -> Finished:
    """Make the record of a tunnel that could not be opened just now."""
    now, server = time.time(), data.server
    started = server.timestamp_start or now
    what = Finished(Asked(b"CONNECT", _target(server)), data.client.peername, started, now - started, 502, 0, 0)
    what.is_tunnel, what.upstream = True, server.address
    what.error = (server.error or "")[:LONGEST_TEXT]
    return what


def _target(server: Server) -> bytes:
    host, port, *_ = server.address or ("", 0)
    return format_target(str(host), int(port)).encode("utf-8", "surrogateescape")


def _peer(flow: flows.Flow) -> Address | None:
    return flow.server_conn.peername or flow.server_conn.address


def bytes_of(flow: tcp.TCPFlow | udp.UDPFlow) -> tuple[int, int]:
    """Return how many bytes came from the client, and how many went there."""
    if tunnel := flow_state.state_of(flow).tunnel:
        return tunnel.bytes_up, tunnel.bytes_down
    for note in reversed(trace.notes(flow)):
        if "up" in note and "down" in note:  # a session of the reverse tunnel
            return note["up"], note["down"]
    return message_bytes(flow, flow.messages)


def message_bytes(flow: flows.Flow, messages: Iterable[Any]) -> tuple[int, int]:
    """Return the octets of all messages of a stream, both ways, with those that its flow has no more."""
    sizes = Counter(flow_state.state_of(flow).removed)
    for message in messages:
        sizes[message.from_client] += len(message.content)
    return sizes[True], sizes[False]
