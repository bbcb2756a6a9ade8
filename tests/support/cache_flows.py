"""Flows for a cache with a store in memory, without a proxy."""

from mitmproxy import http
from mitmproxy.test import tflow

from proxy_policies.cache.stores.memory import MemoryStore
from proxy_policies.cache.transactions import CacheEngine
from proxy_policies.flows import flow_state
from proxy_policies.flows.flow_state import FlowStateAddon

KEY = "http://example.test/"


def engine() -> CacheEngine:
    """Make an empty cache."""
    return CacheEngine(MemoryStore(1 << 20), 1 << 16)


def request(*fields: tuple[str, str], method: str = "GET") -> http.HTTPFlow:
    """Make a flow whose request is complete."""
    flow = tflow.tflow()
    flow.request = http.Request.make(method, KEY, headers=http.Headers([(b"Host", b"example.test")]))
    for name, value in fields:
        flow.request.headers[name] = value
    return flow


def respond(flow: http.HTTPFlow, *fields: tuple[str, str], status: int = 200) -> http.Response:
    """Let the head of the origin's response arrive, without any of its body."""
    flow.response = http.Response.make(status, headers=dict(fields))
    flow.response.raw_content = flow.response.timestamp_end = None
    FlowStateAddon().responseheaders(flow)
    return flow.response


async def body_of(flow: http.HTTPFlow, sent: bytes = b"") -> bytes:
    """Return a body after the policies have processed it."""
    return await flow_state.state_of(flow).response_body.run(sent)
