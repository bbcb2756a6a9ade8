"""Flows that a cache with a store in memory handles, without a proxy."""

from mitmproxy import http
from mitmproxy.test import tflow

from proxy_policies import flow_state
from proxy_policies.cache.stores.memory import MemoryStore
from proxy_policies.cache.transactions import CacheEngine
from proxy_policies.flow_state import FlowStateAddon

KEY = "http://example.test/"


def engine() -> CacheEngine:
    """Make a cache with nothing in it."""
    return CacheEngine(MemoryStore(1 << 20), 1 << 16)


def request(*fields: tuple[str, str], method: str = "GET") -> http.HTTPFlow:
    """Make a flow whose request has come whole."""
    flow = tflow.tflow()
    flow.request = http.Request.make(method, KEY, headers=http.Headers([(b"Host", b"example.test")]))
    for name, value in fields:
        flow.request.headers[name] = value
    return flow


def respond(flow: http.HTTPFlow, *fields: tuple[str, str], status: int = 200) -> http.Response:
    """Let the origin's head come: nothing of its body has."""
    flow.response = http.Response.make(status, headers=dict(fields))
    flow.response.raw_content = flow.response.timestamp_end = None
    FlowStateAddon().responseheaders(flow)
    return flow.response


async def body_of(flow: http.HTTPFlow, sent: bytes = b"") -> bytes:
    """Send a body through what policies do to it."""
    return await flow_state.state_of(flow).response_body.run(sent)
