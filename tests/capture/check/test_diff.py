"""What changed."""

from collections.abc import Callable

import pytest

from proxy_policies.capture.check.change import Change
from proxy_policies.capture.check.diff import compare
from proxy_policies.capture.model import Body, Response, WebSocketMessage
from proxy_policies.capture.websocket.transcript import Transcript, as_response


def response(status: int = 200, body: bytes = b"", *fields: tuple[str, str]) -> Response:
    return Response(status, "OK", fields, Body(body))


FORM, PARTS = "application/x-www-form-urlencoded", "multipart/mixed; boundary=b"
RESPONSES = {
    "status": (response(200), response(500), ["status"]),
    "date": (response(200, b"", ("Date", "x")), response(200, b"", ("Date", "y")), []),
    "header": (response(200, b"", ("X", "1")), response(200, b"", ("x", "2")), ["header:x"]),
    "cookie value": (
        response(200, b"", ("Set-Cookie", "a=1")),
        response(200, b"", ("Set-Cookie", "a=2")),
        ["cookie:a"],
    ),
    "cookie flag": (
        response(200, b"", ("Set-Cookie", "a=1; Secure")),
        response(200, b"", ("Set-Cookie", "a=2")),
        ["cookie:a"],
    ),
    "a hit of ours": (
        response(200, b"", ("Cache-Status", "proxy-policies; fwd=uri-miss")),
        response(200, b"", ("Cache-Status", "cdn; hit, proxy-policies; hit; ttl=9")),
        ["cache"],
    ),
    "another's hit": (response(200), response(200, b"", ("Cache-Status", "cdn; hit")), []),
    "binary": (response(200, b"\xff\x01"), response(200, b"\xff\x02"), ["body"]),
    "bytes of a form": (
        response(200, b"a=%ff", ("Content-Type", FORM)),
        response(200, b"a=%fe", ("Content-Type", FORM)),
        ["json:$.a[0]"],
    ),
    "a form in another order": (
        response(200, b"a=1&b=2&a=3", ("Content-Type", FORM)),
        response(200, b"b=2&a=1&a=3", ("Content-Type", FORM)),
        [],
    ),
    "values of a form in another order": (
        response(200, b"a=1&a=3", ("Content-Type", FORM)),
        response(200, b"a=3&a=1", ("Content-Type", FORM)),
        ["json:$.a[0]", "json:$.a[1]"],
    ),
    "a line break at the end of a part": (
        response(200, b"--b\r\n\r\na\n\r\n--b--", ("Content-Type", PARTS)),
        response(200, b"--b\r\n\r\na\r\n--b--", ("Content-Type", PARTS)),
        ["json:$.parts[0].content"],
    ),
    "parts without an end": (
        response(200, b"--b\r\n\r\na\r\n--b--", ("Content-Type", PARTS)),
        response(200, b"--b\r\n\r\na\r\n", ("Content-Type", PARTS)),
        ["json:$.parts[1]"],
    ),
    "parts between other boundaries": (
        response(200, b"--b\r\nA: 1\r\n\r\na\r\n--b--\r\n", ("Content-Type", "multipart/mixed")),
        response(200, b"--c\nA: 1\r\n\r\na\n--c--", ("Content-Type", "multipart/mixed")),
        [],
    ),
    "no longer expired": (
        response(200, b"", ("Expires", "0")),
        response(200, b"", ("Expires", "Sat, 28 Nov 2026 10:00:00 GMT")),
        ["header:expires"],
    ),
    "kind": (response(200, b"{}"), response(200, b"text"), ["body"]),
    "a cookie for two paths": (
        response(200, b"", ("Set-Cookie", "a=x; Path=/"), ("Set-Cookie", "a=x; Path=/b")),
        response(200, b"", ("Set-Cookie", "a=x; Path=/b")),
        ["cookie:a"],
    ),
    "a cookie that ends another day": (
        response(200, b"", ("Set-Cookie", "a=x; Expires=Sat, 28 Nov 2026 10:00:00 GMT")),
        response(200, b"", ("Set-Cookie", "a=x; Expires=Sun, 29 Nov 2026 10:00:00 GMT")),
        [],
    ),
    "a cookie taken back": (
        response(200, b"", ("Set-Cookie", "a=x; Expires=Sat, 28 Nov 2026 10:00:00 GMT")),
        response(200, b"", ("Set-Cookie", "a=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT")),
        ["cookie:a"],
    ),
    "a cookie of the session": (
        response(200, b"", ("Set-Cookie", "a=x; Expires=Sat, 28 Nov 2026 10:00:00 GMT")),
        response(200, b"", ("Set-Cookie", "a=x")),
        ["cookie:a"],
    ),
    "a member twice": (response(200, b'{"a": 1, "a": 2}'), response(200, b'{"a": 2}'), ["body"]),
    "the order of members": (response(200, b'{"a": 1, "b": 2}'), response(200, b'{"b":2,"a":1}'), []),
    "digits beyond 64 bits": (
        response(200, b'{"a": [0.5, 12345678901234567890.25]}'),
        response(200, b'{"a": [0.5, 12345678901234567890.5]}'),
        ["json:$.a[1]"],
    ),
    "one number": (response(200, b'{"a": [1.0, 1.10]}'), response(200, b'{"a": [1e0, 1.1]}'), []),
    "1 and 1.0": (response(200, b'{"a": 1}'), response(200, b'{"a": 1.0}'), ["json:$.a"]),
    "null and nothing": (response(200, b'{"a": null}'), response(200, b"{}"), ["json:$.a"]),
    "spaces at an end": (response(200, b"a\nb"), response(200, b"a \nb"), ["text:1"]),
    "ends of lines": (response(200, b"a\r\nb\r\n"), response(200, b"a\nb\n"), ["text:1"]),
    "the last end": (response(200, b"a\nb\n"), response(200, b"a\nb"), ["text:1"]),
    "fields in two lines": (
        response(200, b"", ("Vary", "a"), ("Vary", "b")),
        response(200, b"", ("Vary", "a, b")),
        [],
    ),
    "a field in another order": (
        response(200, b"", ("Vary", "a"), ("Vary", "b")),
        response(200, b"", ("Vary", "b"), ("Vary", "a")),
        ["header:vary"],
    ),
    "html": (response(200, b"<p>a</p><p>b</p>", ("Content-Type", "text/html")),
             response(200, b"<p>a</p><p>c</p>", ("Content-Type", "text/html")), ["text:2"]),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "places"), RESPONSES.values(), ids=RESPONSES)
def test_responses_are_compared_by_their_parts(old: Response, new: Response, places: list[str]) -> None:
    assert [change.location for change in compare(old, new)] == places


PART = b"--b\r\nContent-Type: image/gif\r\n\r\n%b\r\n--b--\r\n"
UPGRADE = (("Upgrade", "websocket"),)
BINARY: dict[str, Callable[[bytes], Response]] = {
    "image": lambda data: response(200, data, ("Content-Type", "image/png")),
    "no type": lambda data: response(200, data),
    "part": lambda data: response(200, PART % data, ("Content-Type", PARTS)),
    "gRPC": lambda data: response(200, b"\0\0\0\0\5\x0a\3%b" % data, ("Content-Type", "application/grpc")),
    "WebSocket": lambda data: as_response(
        Transcript(Response(101, "", UPGRADE), (WebSocketMessage(False, False, data, 0.0),))
    ),
}


@pytest.mark.parametrize("kind", BINARY)
def test_other_bytes_are_never_taken_for_noise(kind: str) -> None:
    for last in range(8):  # whatever digits the hash has
        one, other = (BINARY[kind](bytes([255, 0, byte])) for byte in (last, last + 8))
        assert [change.is_dynamic for change in compare(one, other)] == [False]


def test_trailers_are_compared() -> None:
    with_sum, other = (Response(200, body=Body(b"a"), trailers=(("X-Sum", value),)) for value in "12")
    assert compare(with_sum, other) == [Change("trailer:x-sum", "1", "2")]
    assert compare(with_sum, Response(200, body=Body(b"a"))) == [Change("trailer:x-sum", "1", None, "removed")]


def test_the_length_of_a_body_that_is_not_sent_is_compared() -> None:
    ten, twelve = ((("Content-Length", length),) for length in ("10", "12"))
    assert compare(Response(200, "", ten), Response(200, "", twelve)) == [Change("header:content-length", "10", "12")]
    assert compare(Response(200, "", ten, Body(dropped=10)), Response(200, "", twelve, Body(dropped=12))) == []
    assert compare(Response(200), Response(200, "", ten)) == []
