"""The sizes that mitmweb shows: those of bodies and tunnels that flows keep only in part."""

from collections.abc import Callable
from typing import Any

from mitmproxy import flow as any_flow
from mitmproxy import http, tcp, udp

from proxy_policies.finished.flow_records import bytes_of
from proxy_policies.patch import Replacement
from proxy_policies.streaming.decision import size_beyond

Describe = Callable[[any_flow.Flow], dict[str, Any]]


def with_sizes(original: Describe) -> Describe:
    """Return a function that describes a flow for mitmweb's page, with the bytes that passed."""

    def flow_to_json(flow: any_flow.Flow) -> dict[str, Any]:
        described = original(flow)
        if isinstance(flow, http.HTTPFlow):
            for name, message in (("request", flow.request), ("response", flow.response)):
                if message is not None and (size := size_beyond(flow, message)) is not None:
                    described[name]["contentLength"] = size
        elif isinstance(flow, (tcp.TCPFlow, udp.UDPFlow)):
            described["messages_meta"]["contentLength"] = sum(bytes_of(flow))
        return described

    return flow_to_json


def sizes(web_app: Any) -> Replacement:
    """Return the replacement in mitmweb's module, which mitmdump must not import."""
    return Replacement(
        owner=web_app,
        attribute="flow_to_json",
        wrap=with_sizes,
        why="streamed bodies and untouched tunnels have the size of what their flow keeps",
        seen_on="12.2.1 to 12.3.1",
    )
