"""Records of flows."""

import pytest
from mitmproxy.test import tflow

from proxy_policies import trace
from proxy_policies.fields import Fields
from proxy_policies.finished.flow_records import of_request, summary_of
from proxy_policies.flows import flow_state
from proxy_policies.flows.request_summary import RequestSummary


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
    assert of_request(flow, RequestSummary(), 200, 0, 0).cache == "", "the cache was not asked"
    flow_state.state_of(flow).cache_transaction = object()
    assert of_request(flow, RequestSummary(), 200, 0, 0).cache == word


def test_the_word_without_the_field() -> None:
    flow = tflow.tflow(resp=True)
    state = flow_state.state_of(flow)
    state.cache_transaction = object()
    trace.note(flow, "cache", "stored", "", fwd="vary-miss")
    assert of_request(flow, RequestSummary(), 200, 0, 0).cache == "vary-miss"
    flow.response, state.error_fields = None, Fields.of(("Cache-Status", "proxy-policies; fwd=uri-miss"))
    assert of_request(flow, RequestSummary(), 502, 0, 0).cache == "uri-miss"


def test_targets() -> None:
    request = tflow.tflow().request
    request.data.authority = b""
    assert summary_of(request).target == request.data.path
    request.data.authority, request.data.scheme = b"h:1", b"http"
    assert summary_of(request).target == b"http://h:1" + request.data.path
    request.data.method, request.data.path = b"OPTIONS", b"*"
    assert summary_of(request).target == b"http://h:1", "the URI of the server as a whole"
    request.method = "CONNECT"
    assert summary_of(request).target == b"h:1"
