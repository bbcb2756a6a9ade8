"""A CONNECT is read whole and plain, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.http1.connect_request import Connect, read_connect

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
