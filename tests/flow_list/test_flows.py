"""The sizes in mitmweb's description of a flow."""

import mitmproxy.tools.web.master  # noqa: F401 -- app cannot be imported before it
from mitmproxy.flow import Flow
from mitmproxy.test import tflow
from mitmproxy.tools.web import app

from proxy_policies.body import PREVIEW_LIMIT, Pipeline, Preview
from proxy_policies.flow_list.flows import with_sizes
from proxy_policies.flows import flow_state
from proxy_policies.passthrough.tunnel import Tunnel
from proxy_policies.streaming.stream import Stream

describe = with_sizes(app.flow_to_json)


def test_of_a_streamed_body() -> None:
    flow, preview = tflow.tflow(resp=True), Preview()
    assert flow.response
    flow.response.stream = Stream(Pipeline(), preview)
    preview.feed(bytes(3 * PREVIEW_LIMIT))
    flow.response.raw_content = bytes(preview.kept)
    described = describe(flow)
    assert described["response"]["contentLength"] == 3 * PREVIEW_LIMIT
    assert described["request"]["contentLength"] == len(flow.request.raw_content or b"")


def test_of_a_tunnel_without_messages() -> None:
    flow: Flow = tflow.ttcpflow(messages=[])
    assert describe(flow)["messages_meta"]["contentLength"] == 0
    tunnel = flow_state.state_of(flow).tunnel = Tunnel(client=flow.client_conn, server=flow.server_conn, why="")
    tunnel.up, tunnel.down = 3, 4_000_000
    assert describe(flow)["messages_meta"]["contentLength"] == 4_000_003
