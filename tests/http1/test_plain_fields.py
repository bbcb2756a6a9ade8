"""Plain heads: what one expression reads is what reading line by line reads; anything else is left."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http

from proxy_policies.http1.framing import persists
from proxy_policies.http1.request_heads import (
    REQUEST_BODY_LIMIT,
    could_begin_request,
    read_plain_request,
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


@given(HEADS, st.sampled_from(list(ASKED)))
def test_a_response_is_read_as_line_by_line(data: bytes, method: str) -> None:
    assert read(read_response_head, data, method) == read(read_response, lines_of(data), method)


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
