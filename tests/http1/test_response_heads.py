"""Response heads: how large they may be."""

from collections.abc import Callable
from typing import Any

import pytest
from mitmproxy import http

from proxy_policies.http1.response_heads import HEAD_LIMIT, read_response, read_response_head
from proxy_policies.validity import Invalid

ASKED = http.Request.make("GET", "http://a.test/")


def lines_of(data: bytes) -> list[bytes]:
    return data.removesuffix(b"\r\n\r\n").split(b"\r\n")


def read(reader: Callable[..., Any], data: Any) -> str | int:
    """Return the status of what is read, or why it is not."""
    try:
        response, _ = reader(data, ASKED)
    except Invalid as error:
        return str(error)
    return int(response.status_code)


@pytest.mark.parametrize("field", [b"X: y\r\n", b"X: " + b"y" * 995 + b"\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_response_head_is_too_large_for_every_reader(field: bytes) -> None:
    """And however it came: here it is there whole."""
    begin, last = b"HTTP/1.1 200 OK\r\n" + field, b"X: %s\r\n\r\n"
    room = HEAD_LIMIT - len(begin + last) + 2
    more = b"X: y\r\n" * (room // 12)
    whole = begin + more + last % (b"y" * (room - len(more)))
    assert len(whole) == HEAD_LIMIT
    for reader, form in ((read_response_head, bytes), (read_response, lines_of)):
        assert not isinstance(read(reader, form(whole)), str)
        assert read(reader, form(whole.replace(b"OK", b"OKK"))) == "the response head has over 262144 bytes"
