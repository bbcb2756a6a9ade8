"""What we know of a flow while it lives."""

import gc
import weakref

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from proxy_policies import trace
from proxy_policies.flows import flow_state
from proxy_policies.flows.flow_state import FlowStateAddon, is_from_origin


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
