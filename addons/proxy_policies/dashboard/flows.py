"""Open tunnels and other streams: the page's rows for them, and closing them."""

from __future__ import annotations

from typing import Any

from mitmproxy import ctx, tcp, udp

from proxy_policies.addresses import format_target
from proxy_policies.finished.flow_records import bytes_of
from proxy_policies.log_lines import printable
from proxy_policies.patches.client_handlers import end_client

MAX_ROWS = 500
"""Streams that are shown, the latest ones."""


def open_streams() -> list[tcp.TCPFlow | udp.UDPFlow]:
    """Return the open streams, oldest first."""
    streams: list[tcp.TCPFlow | udp.UDPFlow] = ctx.master.addons.get("finished-flows").streams
    return streams


def rows(now: float) -> list[dict[str, Any]]:
    """Return a row for each stream, the latest first; `now` is POSIX time in seconds."""
    return [_row(flow, now) for flow in open_streams()[: -MAX_ROWS - 1 : -1]]


def _row(flow: tcp.TCPFlow | udp.UDPFlow, now: float) -> dict[str, Any]:
    up, down = bytes_of(flow)
    return {
        "id": flow.id,
        "client": _text(flow.client_conn.peername),
        "target": _text(flow.server_conn.address),
        "up": up,
        "down": down,
        "seconds": round(max(0.0, now - flow.timestamp_created), 1),
    }


def _text(address: Any) -> str:
    return printable(format_target(str(address[0]), address[1])) if address else "?"


def close(stream: str) -> str:
    """Close a stream by its id. Raise ValueError if there is none."""
    flow = next((flow for flow in open_streams() if flow.id == stream), None)
    if flow is None:
        raise ValueError("it is already closed")
    end_client(flow.client_conn.id, "closed on the dashboard")
    return "closed"
