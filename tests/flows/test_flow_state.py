"""What we know of a flow while it lives."""

import gc
import weakref

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from proxy_policies import trace
from proxy_policies.flows import flow_state
from proxy_policies.flows.flow_state import (
    FlowStateAddon,
    host_of,
    is_from_origin,
    note_requested_host,
    requested_host,
)


def head(status: int = 200) -> http.Response:
    """Make a response as it is when an origin's head has been read, and no more."""
    response = http.Response.make(status, headers={"X-A": "1"})
    response.raw_content = None
    response.timestamp_end = None
    return response


def test_notes_the_fields_as_they_were_received() -> None:
    flow = tflow.tflow()
    flow.request.headers["X-A"] = "as sent"
    FlowStateAddon().requestheaders(flow)
    flow.request.headers["X-A"] = "changed"
    received = flow_state.state_of(flow).received
    assert received
    assert received.get("x-a") == "as sent"


def test_notes_the_head_as_the_origin_sent_it() -> None:
    flow = tflow.tflow(resp=head(404))
    FlowStateAddon().responseheaders(flow)
    assert flow.response
    flow.response.headers["X-A"] = "changed"
    origin = flow_state.state_of(flow).origin
    assert origin
    assert (origin.status, origin.fields.get("x-a")) == (404, "1")


def test_an_addons_answer_is_no_origins() -> None:
    flow = tflow.tflow(resp=http.Response.make(200, b"mine"))
    FlowStateAddon().responseheaders(flow)
    assert flow_state.state_of(flow).origin is None


@pytest.mark.parametrize("body", [b"", b"x"])
def test_even_an_empty_answer_of_an_addon_is_told_apart(body: bytes) -> None:
    assert not is_from_origin(http.Response.make(200, body))
    assert is_from_origin(head())


def test_a_replayed_flow_starts_anew() -> None:
    flow = tflow.tflow(resp=True)
    FlowStateAddon().requestheaders(flow)
    first = flow_state.state_of(flow)
    first.hit = True
    trace.note(flow, "cache", "hit")
    flow.is_replay = "request"
    FlowStateAddon().requestheaders(flow)
    assert flow_state.state_of(flow) is not first
    assert not flow_state.state_of(flow).hit
    assert trace.notes(flow) == []


def test_the_same_flow_has_the_same_exchange_and_another_another() -> None:
    flow, other = tflow.tflow(), tflow.tflow()
    assert flow_state.state_of(flow) is flow_state.state_of(flow)
    assert flow_state.state_of(flow) is not flow_state.state_of(other)


def test_it_dies_with_its_flow() -> None:
    flow = tflow.tflow()
    state = flow_state.state_of(flow)
    state.cache_transaction = thing = type("Thing", (), {})()
    ghost = weakref.ref(thing)
    del flow, state, thing
    gc.collect()
    assert ghost() is None


def request(*fields: tuple[bytes, bytes], authority: bytes = b"") -> http.Request:
    return http.Request("origin", 80, b"GET", b"http", authority, b"/", b"HTTP/1.1", fields, b"", None, 0, 0)


def test_what_was_noted_outlives_what_mitmproxy_writes() -> None:
    one = request((b"Host", b"shop.example"))
    note_requested_host(one, host_of(one))
    one.host_header = "origin:8000"
    assert requested_host(one) == "shop.example"


def test_an_authority_counts_before_host() -> None:
    assert requested_host(request((b"Host", b"b.test"), authority=b"a.test:81")) == "a.test:81"


def test_what_no_client_sent_is_as_it_is() -> None:
    assert requested_host(request((b"Host", b"a.test"))) == "a.test"
    assert requested_host(request()) is None


def test_what_was_noted_is_neither_saved_nor_copied() -> None:
    one = request((b"Host", b"a.test"))
    note_requested_host(one, host_of(one))
    assert "policy_requested_host" not in one.get_state()
    other = one.copy()
    other.headers["Host"] = "b.test"
    assert requested_host(other) == "b.test"
