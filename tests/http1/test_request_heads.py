"""Request heads: what is refused, and that nothing else is ever raised.

A CONNECT is read whole and plain, or not at all."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mitmproxy import http

from proxy_policies.http1.request_heads import HEAD_LIMIT, Connect, host_of_target, read_connect, read_request
from proxy_policies.validity import Invalid

LINE = st.one_of(
    st.binary(max_size=40).filter(lambda line: bool(line) and b"\n" not in line),
    st.sampled_from(
        [
            b"GET / HTTP/1.1",
            b"CONNECT a:1 HTTP/1.1",
            b"GET http://a:99999/ HTTP/1.1",
            b"GET http://[::1/ HTTP/1.1",
            b"Host: a",
            b"Content-Length: 3",
            b"Transfer-Encoding: chunked",
            b" folded",
        ]
    ),
)


@given(st.lists(LINE, min_size=1, max_size=6), st.booleans())
@example([b"GET http://\xff:1/ HTTP/1.1"], True)
@example([b"CONNECT \xe9\x00:443 HTTP/1.1"], False)
def test_nothing_but_bad_request_is_raised(lines: list[bytes], strict: bool) -> None:
    with contextlib.suppress(Invalid):
        _check(*read_request(lines, strict), strict)


def _check(request: http.Request, size: int | None, strict: bool) -> None:
    assert request.http_version.startswith("HTTP/1.")
    assert size is None or size >= -1
    if strict:
        assert len(request.headers.get_all("host")) <= 1


def test_the_limit_is_over_all_lines() -> None:
    line = b"X: " + b"y" * 1000
    few, many = HEAD_LIMIT // 1003 - 1, HEAD_LIMIT // 1003 + 1
    read_request([b"GET / HTTP/1.1", b"Host: h", *[line] * few], True)
    with pytest.raises(Invalid) as refusal:
        read_request([b"GET / HTTP/1.1", b"Host: h", *[line] * many], True)
    assert refusal.value.status == 431


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET http://a.test:81/x HTTP/1.1", b"a.test:81"),
        (b"GET http://a.test/ HTTP/1.1", b"a.test"),
        (b"GET / HTTP/1.1", None),
        (b"CONNECT a.test:443 HTTP/1.1", None),
    ],
)
def test_the_host_that_a_target_names(line: bytes, expected: bytes | None) -> None:
    request, _ = read_request([line, b"Host: b.test"], True)
    assert host_of_target(request) == expected


PLAIN = b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\nUser-Agent: x y\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PLAIN, Connect("example.test", 443, b"")),
        (PLAIN + b"early", Connect("example.test", 443, b"early")),
        (PLAIN + b"\r\n\r\nearly", Connect("example.test", 443, b"early")),
        (b"CONNECT [::1]:80 HTTP/1.1\r\n\r\n", Connect("::1", 80, b"")),
        (b"CONNECT 127.0.0.1:65535 HTTP/1.1\r\n\r\n", Connect("127.0.0.1", 65535, b"")),
    ],
)
def test_plain(data: bytes, expected: Connect) -> None:
    assert read_connect(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PLAIN[:-1],
        b"GET / HTTP/1.1\r\n\r\n",
        b"CONNECT example.test HTTP/1.1\r\n\r\n",
        b"CONNECT example.test:0 HTTP/1.1\r\n\r\n",
        b"CONNECT example.test:65536 HTTP/1.1\r\n\r\n",
        b"CONNECT example.test:443 HTTP/1.0\r\n\r\n",
        b"CONNECT user@example.test:443 HTTP/1.1\r\n\r\n",
        b"connect example.test:443 HTTP/1.1\r\n\r\n",
        *(
            b"CONNECT example.test:443 HTTP/1.1\r\n%s\r\n\r\n" % field
            for field in (
                b"Via: 1.1 x",
                b"proxy-authorization: x",
                b"Content-Length: 1",
                b"Transfer-Encoding: chunked",
                b"Expect: 100-continue",
                b"Upgrade: x",
                b" folded",
                b"No colon",
                b"Bad name: x",
                b"X: \x00",
                b"X: a\nb",
            )
        ),
    ],
)
def test_not_ours(data: bytes) -> None:
    assert read_connect(data) is None


@given(st.binary())
def test_never_raises(data: bytes) -> None:
    read_connect(data)
    read_connect(b"CONNECT " + data + b" HTTP/1.1\r\n\r\n")


@given(st.integers(0, len(PLAIN) - 1))
def test_a_part_is_not_enough(end: int) -> None:
    assert read_connect(PLAIN[:end]) is None
