"""Notes on a flow."""

import io
import json

from mitmproxy.io import FlowReader, FlowWriter
from mitmproxy.test import tflow

from proxy_policies import trace


def test_notes_are_kept_in_order() -> None:
    flow = tflow.tflow()
    trace.note(flow, "cache", "miss", "nothing stored", key="http://a/")
    trace.note(flow, "cache", "stored", age=0, private=False, until=None)
    assert trace.notes(flow) == [
        {"policy": "cache", "verdict": "miss", "why": "nothing stored", "key": "http://a/"},
        {"policy": "cache", "verdict": "stored", "why": "", "age": 0, "private": False, "until": None},
    ]


def test_a_flow_without_notes_has_none_and_gets_none_by_asking() -> None:
    flow = tflow.tflow()
    assert trace.notes(flow) == []
    assert flow.metadata == {}


def test_a_loop_does_not_fill_the_memory() -> None:
    flow = tflow.tflow()
    for number in range(10 * trace.LIMIT):
        trace.note(flow, "loop", "again", number=number)
    assert len(trace.notes(flow)) == trace.LIMIT


def test_notes_are_json_and_saved_with_the_flow() -> None:
    flow = tflow.tflow()
    trace.note(flow, "cache", "hit", "fresh for 57 s", age=3, warm=True, factor=0.5, nothing=None)
    assert json.loads(json.dumps(trace.notes(flow))) == trace.notes(flow)
    file = io.BytesIO()
    FlowWriter(file).add(flow)
    file.seek(0)
    (read,) = FlowReader(file).stream()
    assert trace.notes(read) == trace.notes(flow)


def test_a_copy_has_notes_of_its_own() -> None:
    flow = tflow.tflow()
    trace.note(flow, "cache", "hit")
    copy = flow.copy()
    trace.note(copy, "cache", "stale")
    assert [note["verdict"] for note in trace.notes(flow)] == ["hit"]


def test_a_flow_that_is_replayed_starts_anew() -> None:
    flow = tflow.tflow()
    trace.note(flow, "cache", "hit")
    trace.restart(flow)
    assert trace.notes(flow) == []
