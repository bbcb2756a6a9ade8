"""Reports of flows."""

from collections.abc import Iterator
from typing import Any

import pytest
from mitmproxy.test import tflow

from proxy_policies import finished, flow_state, trace
from proxy_policies.fields import Fields
from proxy_policies.finished import Asked, Finished
from proxy_policies.finished_flows import FinishedFlows, asked_of, of_request, of_stream


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Finished]]:
    """Subscribe, and give what is reported."""
    made: list[Any] = []
    monkeypatch.setattr(finished, "report", made.append)
    end = finished.subscribe(lambda items: None)
    yield made
    end()


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("proxy-policies; hit; ttl=5", "hit"),
        ("origin; hit, proxy-policies; fwd=uri-miss; stored", "uri-miss"),
        ("proxy-policies; hit, proxy-policies; fwd=stale", "stale"),
        ('proxy-policies; detail="refused"', ""),
    ],
)
def test_the_word_of_cache_status(status: str, word: str) -> None:
    flow = tflow.tflow(resp=True)
    assert flow.response
    flow.response.headers["Cache-Status"] = status
    assert of_request(flow, Asked(), 200, 0, 0).cache == "", "the cache was not asked"
    flow_state.state_of(flow).cache_transaction = object()
    assert of_request(flow, Asked(), 200, 0, 0).cache == word


def test_the_word_without_the_field() -> None:
    flow = tflow.tflow(resp=True)
    state = flow_state.state_of(flow)
    state.cache_transaction = object()
    trace.note(flow, "cache", "stored", "", fwd="vary-miss")
    assert of_request(flow, Asked(), 200, 0, 0).cache == "vary-miss"
    flow.response, state.error_fields = None, Fields.of(("Cache-Status", "proxy-policies; fwd=uri-miss"))
    assert of_request(flow, Asked(), 502, 0, 0).cache == "uri-miss"


def test_targets() -> None:
    request = tflow.tflow().request
    request.data.authority = b""
    assert asked_of(request).target == request.data.path
    request.data.authority, request.data.scheme = b"h:1", b"http"
    assert asked_of(request).target == b"http://h:1" + request.data.path
    request.method = "CONNECT"
    assert asked_of(request).target == b"h:1"


def test_a_connect_is_reported_once(reports: list[Finished]) -> None:
    policy, opened = FinishedFlows(), tflow.ttcpflow()
    connect = tflow.tflow(client_conn=opened.client_conn, resp=True)
    connect.metadata["proxyauth"] = ("ann", "")
    policy.http_connected(connect)
    policy.tcp_start(opened)
    policy.tcp_end(opened)
    policy.client_disconnected(opened.client_conn)
    (tunnel,) = reports
    assert (tunnel.is_tunnel, tunnel.user, tunnel.asked.method) == (True, "ann", b"CONNECT")
    policy.http_connected(connect)
    policy.client_disconnected(opened.client_conn)
    assert (reports[1].is_tunnel, reports[1].sent) == (True, None)


def test_streams_and_their_bytes(reports: list[Finished]) -> None:
    policy, stream = FinishedFlows(), tflow.ttcpflow()
    made = of_stream(stream)
    assert (made.received, made.sent) == tuple(
        sum(len(message.content) for message in stream.messages if message.from_client is up) for up in (True, False)
    )
    trace.note(stream, "reverse_tunnel", "ended", "", up=7, down=9, seconds=1)
    made = of_stream(stream)
    assert (made.received, made.sent) == (7, 9)
    policy.udp_end(tflow.tudpflow())
    policy.websocket_end(tflow.twebsocketflow())
    assert [(what.is_tunnel, what.status) for what in reports] == [(True, 200), (False, 101)]
