"""Plain heads: what is read is read as mitmproxy reads it; anything else is left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.net.http import http1

from proxy_policies.fastlane.express.heads import read_request, read_response
from proxy_policies.patches.request_heads import read_request as read_by_layers
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
    return data.partition(b"\r\n\r\n")[0].split(b"\r\n")


@given(st.one_of(NOISE, REQUESTS))
def test_what_is_read_of_a_request_is_what_mitmproxy_reads(data: bytes) -> None:
    head = read_request(data)
    if head is None:
        return
    request, size = read_by_layers(lines_of(data), strict=True)
    assert (head.method, head.authority, head.path) == (request.data.method, request.data.authority, request.data.path)
    assert head.fields == request.headers.fields
    assert (len(head.body), head.body) == (size, data.partition(b"\r\n\r\n")[2])


@given(st.one_of(NOISE, RESPONSES), st.sampled_from(["GET", "HEAD"]))
def test_what_is_read_of_a_response_is_what_mitmproxy_reads(data: bytes, method: str) -> None:
    head = read_response(data, method)
    if head is None:
        return
    response = http1.read_response_head(lines_of(data))
    assert (head.status, head.reason, head.fields) == (
        response.status_code,
        response.data.reason,
        response.headers.fields,
    )
    assert head.body == data.partition(b"\r\n\r\n")[2]
    assert len(head.body) <= head.size


@pytest.mark.parametrize("cut", range(1, 52))
def test_a_part_is_not_plain(cut: int) -> None:
    assert read_request(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"[:cut]) is None


def test_whatever_the_layers_refuse_is_left() -> None:
    for data in (b"GET / HTTP/1.1\r\nA: 1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"):
        assert read_request(data) is None
        with pytest.raises(Invalid):
            read_by_layers(lines_of(data), strict=True)
