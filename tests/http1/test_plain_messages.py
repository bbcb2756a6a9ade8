"""Plain heads: what one expression reads is what reading line by line reads; messages are as mitmproxy makes them."""

import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.test import tflow

from proxy_policies.fields import Fields
from proxy_policies.http1.framing import persists
from proxy_policies.http1.plain_messages import (
    REQUEST_BODY_LIMIT,
    new_flow,
    new_request,
    new_response,
    read_plain_request,
    read_plain_response,
)
from proxy_policies.http1.request_heads import (
    could_begin_request,
    read_request,
)
from proxy_policies.http1.response_heads import read_response, read_response_head
from proxy_policies.validity import Invalid

PIECES = st.sampled_from(
    [
        *(
            b"GET",
            b"POST",
            b"CONNECT",
            b" ",
            b"/",
            b"/a",
            b"http://a.test",
            b":80",
            b" HTTP/1.1",
            b" HTTP/1.0",
            b"\r\n",
        ),
        *(
            b"Host: a.test",
            b"Host",
            b":",
            b"\n",
            b"\r",
            b"\t",
            b"Content-Length: ",
            b"0",
            b"5",
            b"hello",
            b"\x00",
            b"\xff",
        ),
        *(b"Transfer-Encoding: chunked", b"Connection: close", b"Connection: keep-alive", b"X: 1", b" folded"),
        *(b"HTTP/1.1 200 OK", b"HTTP/1.1 204 ", b"HTTP/1.1 304 Same", b"HTTP/1.1 103 Hints"),
    ]
)
NOISE = st.lists(PIECES, max_size=12).map(b"".join)
REQUESTS = st.tuples(st.just(b"GET /a HTTP/1.1\r\nHost: a.test\r\n"), NOISE, st.just(b"\r\n\r\n"), NOISE).map(b"".join)
RESPONSES = st.tuples(st.just(b"HTTP/1.1 200 OK\r\n"), NOISE, st.just(b"\r\n\r\n"), NOISE).map(b"".join)


def lines_of(data: bytes) -> list[bytes]:
    """Split a head into lines as h11 does, which takes a bare line feed for a line end."""
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


HEADS = st.one_of(NOISE, REQUESTS, RESPONSES).map(lambda data: data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
ASKED = {method: http.Request.make(method, "http://a.test/") for method in ("GET", "HEAD")}


@given(HEADS)
def test_a_plain_request_is_read_as_line_by_line(data: bytes) -> None:
    head = read_plain_request(data)
    if head is None:
        return
    request, size = read_request(lines_of(data), strict=True)
    assert (head.method, head.authority, head.path) == (request.data.method, request.data.authority, request.data.path)
    assert (head.fields.raw, head.length) == (request.headers.fields, size)
    assert head.persists is persists("HTTP/1.1", head.fields)


def read(reader: Callable[..., Any], data: Any, method: str) -> Any:
    """Return what is read of a response's head, or why it is not."""
    try:
        response, size = reader(data, ASKED[method])
    except Invalid as error:
        return str(error)
    told = response.data
    return told.status_code, told.reason, told.http_version, told.headers.fields, size


def read_head(data: bytes, request: http.Request) -> tuple[http.Response, int | None]:
    return read_plain_response(data, request.data.method) or read_response_head(data, request)


@given(HEADS, st.sampled_from(list(ASKED)))
def test_a_response_is_read_as_line_by_line(data: bytes, method: str) -> None:
    assert read(read_head, data, method) == read(read_response, lines_of(data), method)


@pytest.mark.parametrize("cut", range(1, 47))
def test_a_part_of_a_head_is_not_read(cut: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
    assert read_plain_request(head[:cut]) is None
    assert could_begin_request(head[:cut])


@pytest.mark.parametrize("data", [b"\x16\x03\x01", b"get / ", b"\r\nGET", b"SSH-2.0-x", b"GET\t/", b"GET /\xff", b"\0"])
def test_what_is_no_request(data: bytes) -> None:
    assert not could_begin_request(data)


def test_what_is_not_valid_is_left() -> None:
    for data in (b"GET / HTTP/1.1\r\nA: 1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"):
        assert read_plain_request(data) is None
        with pytest.raises(Invalid):
            read_request(lines_of(data), strict=True)


def test_a_large_body_is_left() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    assert read_plain_request(head % REQUEST_BODY_LIMIT)
    assert read_plain_request(head % (REQUEST_BODY_LIMIT + 1)) is None


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
