"""Which requests mean the same, and in which parts others differ."""

from dataclasses import dataclass

import pytest

from proxy_policies.capture.model import Body, Request
from proxy_policies.capture.replay.matching import RequestKey, differences, parse_matching, request_key

JSON = (("Content-Type", "application/json"),)
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)


def parts(url: str = "/", body: bytes = b"", headers: tuple[tuple[str, str], ...] = (), *ignore: str) -> RequestKey:
    method = "POST" if body else "GET"
    return request_key(Request(method, f"http://shop.test{url}", headers, Body(body)), parse_matching(ignore))


@dataclass(frozen=True)
class Same:
    id: str
    one: RequestKey
    other: RequestKey
    same: bool = True


CASES = [
    Same("query order", parts("/?a=1&b=2"), parts("/?b=2&a=1")),
    Same("query value", parts("/?a=1"), parts("/?a=2"), False),
    Same("percent-encoding", parts("/?a=%41"), parts("/?a=A")),
    Same("default port", parts(":80/"), parts("/")),
    Same("json members", parts("/", b'{"a":1,"b":[2]}', JSON), parts("/", b'{ "b": [2], "a": 1 }', JSON)),
    Same("json list order", parts("/", b"[1,2]", JSON), parts("/", b"[2,1]", JSON), False),
    Same("form order", parts("/", b"a=1&b=2", FORM), parts("/", b"b=2&a=1", FORM)),
    Same("ignored query", parts("/?t=1", b"", (), "query:t"), parts("/?t=2", b"", (), "query:t")),
    Same("ignored path", parts("/", b'{"t":1}', JSON, "json:$.t"), parts("/", b'{"t":2}', JSON, "json:$.t")),
    Same("ignored body", parts("/", b"x", (), "body"), parts("/", b"y", (), "body")),
    Same(
        "multipart boundary",
        parts("/", b"--x\r\n\r\na\r\n--x--", (("content-type", "multipart/form-data; boundary=x"),)),
        parts("/", b"--y\r\n\r\na\r\n--y--", (("content-type", "multipart/form-data; boundary=y"),)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_means_the_same_is_the_same(case: Same) -> None:
    assert (case.one.canonical() == case.other.canonical()) is case.same
    assert (not differences(case.one, case.other)) is case.same


@pytest.mark.parametrize("spec", ["quer:x", "query:", "json:$[", "body:x"])
def test_a_wrong_ignore_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=r"query:NAME|invalid JSONPath"):
        parse_matching([spec])


def test_a_field_of_a_multipart_body_is_ignored() -> None:
    fields = (("Content-Type", "multipart/form-data; boundary=b"),)
    bodies = [f'--b\r\nContent-Disposition: form-data; name="t"\r\n\r\n{text}\r\n--b--'.encode() for text in "ab"]
    one, other = (parts("/", body, fields, "form:t") for body in bodies)
    assert one.canonical() == other.canonical()
