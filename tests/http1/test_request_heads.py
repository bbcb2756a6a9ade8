"""Request heads: what is refused, and that nothing else is ever raised."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mitmproxy import http

from proxy_policies.http1.request_heads import HEAD_LIMIT, host_of_target, read_request
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
