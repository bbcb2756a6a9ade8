"""What changed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.bodies import json_path
from proxy_policies.capture.check.diff import Change, compare, json_changes, slower, text_changes
from proxy_policies.capture.model import Body, Response, WebSocketMessage
from proxy_policies.capture.websocket.transcript import Transcript, as_response

documents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
texts = st.lists(st.sampled_from(["a", "b", "c 1", ""]), max_size=8).map("\n".join)


@given(documents)
def test_nothing_differs_from_itself(document: Any) -> None:
    assert list(json_changes(document, document)) == []


@given(documents, documents)
def test_what_differs_is_told(old: Any, new: Any) -> None:
    assert bool(list(json_changes(old, new))) is (old != new or repr(old) != repr(new))


@given(documents)
def test_every_leaf_is_found_at_its_path(document: Any) -> None:
    for steps, value in json_path.leaves(document):
        found = document
        for step in json_path.read(json_path.write(steps)):
            found = found[step]
        assert found == value


@given(texts, texts)
def test_no_difference_of_texts_is_passed_over(old: str, new: str) -> None:
    assert bool(list(text_changes(old, new))) is (old != new)


@dataclass(frozen=True)
class Case:
    id: str
    old: Any
    new: Any
    places: list[tuple[str, str]]


JSON_CASES = [
    Case("changed", {"a": {"b": 1}}, {"a": {"b": 2}}, [("json:$.a.b", "changed")]),
    Case("added", {}, {"odd name": 1}, [('json:$["odd name"]', "added")]),
    Case("removed", {"a": 1}, {}, [("json:$.a", "removed")]),
    Case("inserted item", [1, 2, 3], [0, 1, 2, 3], [("json:$[0]", "added")]),
    Case("removed item", [{"n": 1}, {"n": 2}, {"n": 3}], [{"n": 1}, {"n": 3}], [("json:$[1]", "removed")]),
    Case("item changed inside", [{"n": 1}], [{"n": 2}], [("json:$[0].n", "changed")]),
    Case("type", {"a": 1}, {"a": "1"}, [("json:$.a", "changed")]),
    Case("true is not 1", {"a": True}, {"a": 1}, [("json:$.a", "changed")]),
    Case("placeholders", {"a": "secret_0123456789abcdef"}, {"a": "secret_fedcba9876543210"}, []),
]


@pytest.mark.parametrize("case", JSON_CASES, ids=lambda case: case.id)
def test_json_is_compared_as_a_tree(case: Case) -> None:
    assert [(change.location, change.kind) for change in json_changes(case.old, case.new)] == case.places


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


UUIDS = ("0b0fa1a4-9d0b-4f6e-8a53-3c1e4d1c2b3a", "5c9e5ad6-4f9c-49c8-b1b6-3d3e0e4d9b11")
SECRETS = ("secret_7bc4d01edb229726_token032", "secret_4170d99fc4aae77c_token032")
DYNAMIC = {
    "times": (Change("json:$.at", "2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z"), True),
    "epochs": (Change("json:$.at", 1760000000.5, 1761111111.25), True),
    "kinds differ": (Change("json:$.at", 1760000000, "2026-01-03T03:04:05Z"), False),
    "plain": (Change("json:$.n", 1, 2), False),
    "one number, written otherwise": (Change("json:$.n", 1, 1.0), True),
    "a number is no text": (Change("json:$.at", 1760000000, "1770000000"), False),
    "seconds are no milliseconds": (Change("json:$.at", 1760000000, 1760000000000), False),
    "line": (Change("text:1", "at 2026-01-02T03:04:05Z", "at 2026-01-03T03:04:05Z"), True),
    "an id in a field": (Change("header:location", f"/orders/{UUIDS[0]}", f"/orders/{UUIDS[1]}"), True),
    "an id in a link": (Change("json:$.self", f"/orders/{UUIDS[0]}?x=1", f"/orders/{UUIDS[1]}?x=1"), True),
    "another query": (Change("json:$.self", f"/orders/{UUIDS[0]}?x=1", f"/orders/{UUIDS[1]}?x=2"), False),
    "another path": (Change("header:location", f"/orders/{UUIDS[0]}", f"/carts/{UUIDS[1]}"), False),
    "a hash in a field": (Change("header:etag", '"4114d0a64af08d75"', '"e6d1d5d39fff7931"'), True),
    "a weak one": (Change("header:etag", '"4114d0a64af08d75"', 'W/"e6d1d5d39fff7931"'), False),
    "numbers in a field": (Change("header:location", "/orders/17", "/orders/18"), False),
    "ends of validity": (
        Change("header:expires", "Sat, 28 Nov 2026 10:00:00 GMT", "Sun, 29 Nov 2026 10:00:00 GMT"),
        True,
    ),
    "secrets in a field": (Change("header:location", f"/x?t={SECRETS[0]}", f"/x?t={SECRETS[1]}"), False),
}


@pytest.mark.parametrize(("change", "expected"), DYNAMIC.values(), ids=DYNAMIC)
def test_values_that_differ_each_time_are_known(change: Change, expected: bool) -> None:
    assert change.is_dynamic is expected


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


LINES = [f"line {number} of a text" for number in range(5000)]
LONG = {
    "a line": (["x", *LINES[1:4000], "y", *LINES[4001:]], ["text:1", "text:4001"]),
    "a line more": ([*LINES[:4500], "x", *LINES[4500:]], ["text:4501"]),
    "a line less": ([*LINES[:4500], *LINES[4501:]], ["text:4501"]),
    "lines more at two places": (["x", *LINES, "y"], ["text:1"]),
    "all lines": ([line.upper() for line in LINES], [f"text:{number}" for number in range(1, 5001)]),
}


@pytest.mark.parametrize(("lines", "places"), LONG.values(), ids=LONG)
def test_a_long_text_is_compared_by_lines(lines: list[str], places: list[str]) -> None:
    changes = list(text_changes("\n".join(LINES), "\n".join(lines)))
    assert [change.location for change in changes] == places
    assert not any(change.is_dynamic for change in changes)


def test_slower_wants_a_factor_and_a_tenth_of_a_second() -> None:
    assert [change.location for change in slower(0.1, 0.4, 3)] == ["time"]
    assert slower(0.001, 0.01, 3) == []
    assert slower(0.1, 9.0, 0) == []


def test_trailers_are_compared() -> None:
    with_sum, other = (Response(200, body=Body(b"a"), trailers=(("X-Sum", value),)) for value in "12")
    assert compare(with_sum, other) == [Change("trailer:x-sum", "1", "2")]
    assert compare(with_sum, Response(200, body=Body(b"a"))) == [Change("trailer:x-sum", "1", None, "removed")]


def test_the_length_of_a_body_that_is_not_sent_is_compared() -> None:
    ten, twelve = ((("Content-Length", length),) for length in ("10", "12"))
    assert compare(Response(200, "", ten), Response(200, "", twelve)) == [Change("header:content-length", "10", "12")]
    assert compare(Response(200, "", ten, Body(dropped=10)), Response(200, "", twelve, Body(dropped=12))) == []
    assert compare(Response(200), Response(200, "", ten)) == []
