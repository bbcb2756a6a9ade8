"""What was collected of an exchange becomes its entry."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from mitmproxy import http
from mitmproxy.flow import Error
from mitmproxy.test import tflow

from proxy_policies import trace
from proxy_policies.capture.model import Body, Response
from proxy_policies.capture.record.bounded_body import BoundedBody
from proxy_policies.capture.record.recording import Recording, begin, entry_of, origin_entry_of, repeatable
from proxy_policies.fields import Fields
from proxy_policies.flows import flow_state

LIMIT = 100


def a_flow() -> http.HTTPFlow:
    response = http.Response(b"HTTP/1.1", 200, b"OK", http.Headers(), b"", None, 1.0, 2.0)
    flow = tflow.tflow(req=http.Request.make("POST", "http://a.test/x"), resp=response)
    flow.server_conn.peername = ("10.0.0.1", 80)
    return flow


def came(recording: Recording, sent: bytes, origin: bytes, client: bytes) -> None:
    """Receive complete bodies."""
    for body, data in ((recording.sent, sent), (recording.origin, origin), (recording.client, client)):
        body.feed(data)
        body.finish()


def test_the_request_is_the_one_that_the_client_sent() -> None:
    """Not what policies made of it before or after."""
    flow = a_flow()
    flow_state.state_of(flow).received = Fields(((b"X-Own", b"1"),))
    recording = begin(flow, LIMIT)
    flow.request.headers["X-Added"] = "by a policy"
    flow.request.path = "/other"
    came(recording, b"sent", b"", b"got")
    entry = entry_of(flow, recording)
    assert (entry.request.url, entry.request.headers) == ("http://a.test/x", (("X-Own", "1"),))
    assert (entry.request.body, entry.response.body) == (Body(b"sent"), Body(b"got"))


def test_what_the_origin_sent_is_kept_where_the_client_got_something_else() -> None:
    flow = a_flow()
    flow_state.state_of(flow).origin = flow_state.OriginHead(200, "OK", Fields(), "HTTP/1.1")
    recording = begin(flow, LIMIT)
    came(recording, b"", b"same", b"same")
    assert entry_of(flow, recording).origin is None
    assert flow.response
    flow.response.headers["X-Added"] = "1"
    entry = entry_of(flow, recording)
    assert entry.origin == Response(200, "OK", (), Body(b"same"))
    assert entry.response.headers == (("X-Added", "1"),)
    assert "answered_by" not in entry.connection_info
    sent = origin_entry_of(flow, recording)
    assert (sent.response, sent.origin) == (entry.origin, None)


def test_the_response_of_an_origin_without_a_body_is_its_head() -> None:
    flow = a_flow()
    flow_state.state_of(flow).origin = flow_state.OriginHead(200, "OK", Fields(), "HTTP/1.1")
    recording = begin(flow, LIMIT)
    came(recording, b"", b"", b"")
    assert origin_entry_of(flow, recording).response == Response(200, "OK")
    assert entry_of(flow, recording).origin is None


def test_an_answer_that_no_origin_gave_says_so() -> None:
    flow = a_flow()
    recording = begin(flow, LIMIT)
    came(recording, b"", b"", b"from a policy")
    entry = entry_of(flow, recording)
    assert (entry.origin, entry.connection_info["answered_by"]) == (None, "policy")
    assert origin_entry_of(flow, recording).response == Response(0)


@pytest.mark.parametrize("client_left", [True, False])
def test_who_broke_off_a_body_is_named(client_left: bool) -> None:
    flow = a_flow()
    recording = begin(flow, LIMIT)
    recording.sent.feed(b"all")
    recording.sent.finish()
    recording.client.feed(b"half")
    flow.error = Error("broken off")
    flow_state.state_of(flow).client_left = client_left
    entry = entry_of(flow, recording)
    assert entry.request.body == Body(b"all")
    assert entry.response.body == Body(b"half", cut="client" if client_left else "server")
    assert entry.error == "broken off"


def test_a_request_that_got_no_answer() -> None:
    flow = a_flow()
    recording = begin(flow, LIMIT)
    flow.response, flow.error, flow.request.timestamp_end = None, Error("no connection"), None
    recording.sent.feed(b"ha")
    entry = entry_of(flow, recording)
    assert (entry.response, entry.request.body.cut) == (Response(0), "server")
    assert "answered_by" not in entry.connection_info


def test_a_body_over_the_bound_is_counted_and_hashed() -> None:
    flow = a_flow()
    recording = begin(flow, LIMIT)
    came(recording, b"", b"", b"x" * (LIMIT + 5))
    body = entry_of(flow, recording).response.body
    assert (len(body.content), body.dropped, len(body.sha256)) == (LIMIT, 5, 64)


STREAMS = {
    "events": ({"content-type": "text/event-stream"}, True),
    "events of a known length": ({"content-type": "text/event-stream", "content-length": "5"}, False),
    "a page": ({"content-type": "text/html"}, False),
}


@pytest.mark.parametrize(("fields", "is_timed"), STREAMS.values(), ids=STREAMS)
def test_the_arrivals_of_what_may_be_a_stream_are_noted(fields: dict[str, str], is_timed: bool) -> None:
    flow = a_flow()
    recording = begin(flow, LIMIT)
    assert flow.response
    flow.response.headers.update(fields)
    recording.watch(flow.response, recording.client)
    recording.client.feed(b"data:")
    assert [offset for offset, _ in recording.arrivals.get("response", [])] == ([5] if is_timed else [])


def a_repeatable_flow(path: str = "/x", *, body: bytes = b"same") -> tuple[http.HTTPFlow, Recording]:
    flow = a_flow()
    flow.request = http.Request.make("GET", f"http://a.test{path}")
    flow.request.headers.clear()
    flow_state.state_of(flow).origin = flow_state.OriginHead(200, "OK", Fields(), "HTTP/1.1")
    recording = begin(flow, LIMIT)
    for taken in (recording.origin, recording.client):
        taken.feed(body)
        taken.finish()
    return flow, recording


def test_exchanges_with_the_same_key_have_the_same_entry_but_for_url_times_and_id() -> None:
    (one, first), (other, second) = a_repeatable_flow("/x"), a_repeatable_flow("/y")
    found, again = repeatable(one, first), repeatable(other, second)
    assert found is not None
    assert again is not None
    assert (found.key, again.url, again.times, again.entry_id) == (
        again.key,
        "http://a.test/y",
        entry_of(other, second).times,
        other.id,
    )
    same = replace(entry_of(other, second), id=one.id, times=found.times)
    assert replace(same, request=replace(same.request, url=found.url)) == entry_of(one, first)


def receive(recording: Recording, body: bytes) -> None:
    """Put a body in place of the one that was received and sent."""
    recording.origin.kept = recording.client.kept = body


CHANGES: dict[str, Callable[[http.HTTPFlow, Recording], object]] = {
    "fields": lambda flow, recording: flow.response and flow.response.headers.update({"x": "y"}),
    "status": lambda flow, recording: setattr(flow.response, "status_code", 201),
    "reason": lambda flow, recording: setattr(flow.response, "reason", "Fine"),
    "origin": lambda flow, recording: setattr(flow_state.state_of(flow), "origin", None),
    "comment": lambda flow, recording: setattr(flow, "comment", "it"),
    "trace": lambda flow, recording: trace.note(flow, "cache", "hit"),
    "peer": lambda flow, recording: setattr(flow.server_conn, "peername", ("10.0.0.2", 80)),
    "client": lambda flow, recording: setattr(flow.client_conn, "peername", ("10.0.0.2", 80)),
    "request": lambda flow, recording: setattr(recording.request, "headers", (("A", "b"),)),
    "method": lambda flow, recording: setattr(recording.request, "method", "HEAD"),
    "body": lambda flow, recording: receive(recording, b"other"),
}
UNUSUAL: dict[str, Callable[[http.HTTPFlow, Recording], object]] = {
    "error": lambda flow, recording: setattr(flow, "error", Error("cut")),
    "no response": lambda flow, recording: setattr(flow, "response", None),
    "trailers": lambda flow, recording: setattr(flow.response, "trailers", http.Headers(a="b")),
    "sent body": lambda flow, recording: setattr(recording, "sent", BoundedBody(1)),
    "other body": lambda flow, recording: setattr(recording.origin, "kept", b"other"),
    "long body": lambda flow, recording: recording.client.feed(b"x" * LIMIT),
    "cut body": lambda flow, recording: setattr(recording.client, "is_whole", False),
    "arrivals": lambda flow, recording: recording.client.arrivals.append((1, 1.0)),
    "target": lambda flow, recording: setattr(recording.request, "target", "*"),
    "surrogates": lambda flow, recording: setattr(flow, "comment", "\ud800"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_entry_has_another_key(change: Callable[[http.HTTPFlow, Recording], object]) -> None:
    flow, recording = a_repeatable_flow()
    before = repeatable(flow, recording)
    change(flow, recording)
    after = repeatable(flow, recording)
    assert before is not None
    assert after is not None
    assert before.key != after.key


@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_exchange_has_no_key(change: Callable[[http.HTTPFlow, Recording], object]) -> None:
    flow, recording = a_repeatable_flow()
    change(flow, recording)
    assert repeatable(flow, recording) is None
