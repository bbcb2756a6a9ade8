"""Messages are as mitmproxy's own constructors make them."""

import random
import uuid

from mitmproxy import http
from mitmproxy.test import tflow

from proxy_policies.fields import Fields
from proxy_policies.http1.new_messages import new_flow, new_request, new_response

LINES = ((b"Host", b"a.test"), (b"X-A", b"\xff"))
REQUEST = "origin", 81, b"GET", b"http", b"", b"/x?y"


def parts(message: http.Message) -> list[tuple[str, object]]:
    """All attributes, in order, as they are saved."""
    assert set(vars(message)) == {"data"}
    return [(name, value) for name, value in vars(message.data).items() if name != "timestamp_start"]


def test_a_flow_is_as_mitmproxy_makes_it() -> None:
    client, server = tflow.tclient_conn(), tflow.tserver_conn()
    made, theirs = new_flow(client, server), http.HTTPFlow(client, server, True)
    theirs.id, theirs.timestamp_created = made.id, made.timestamp_created
    assert type(made) is type(theirs)
    assert list(vars(made).items()) == list(vars(theirs).items())


def test_a_flows_id_is_a_random_uuid() -> None:
    ids = {new_flow(tflow.tclient_conn(), tflow.tserver_conn()).id for _ in range(100)}
    assert len(ids) == 100
    for text in ids:
        assert str(uuid.UUID(text)) == text
        assert (uuid.UUID(text).version, uuid.UUID(text).variant) == (4, uuid.RFC_4122)


def test_a_script_that_seeds_random_does_not_repeat_ids() -> None:
    ids = set()
    for _ in range(2):
        random.seed("/path")
        ids.add(new_flow(tflow.tclient_conn(), tflow.tserver_conn()).id)
    assert len(ids) == 2


def test_a_request_is_as_mitmproxy_makes_it() -> None:
    made = new_request(*REQUEST, Fields(LINES))
    theirs = http.Request(*REQUEST, b"HTTP/1.1", http.Headers(LINES), None, None, made.timestamp_start, None)
    assert type(made) is type(theirs)
    assert type(made.data) is type(theirs.data)
    assert type(made.headers) is type(theirs.headers)
    assert made.headers.fields == theirs.headers.fields
    assert parts(made) == parts(theirs)
    assert made.get_state() == theirs.get_state()


def test_a_response_is_as_mitmproxy_makes_it() -> None:
    made = new_response(200, b"OK", Fields(LINES))
    theirs = http.Response(b"HTTP/1.1", 200, b"OK", http.Headers(LINES), None, None, made.timestamp_start, None)
    assert type(made) is type(theirs)
    assert type(made.data) is type(theirs.data)
    assert made.headers.fields == theirs.headers.fields
    assert parts(made) == parts(theirs)
    assert made.get_state() == theirs.get_state()
