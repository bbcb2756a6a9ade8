"""What `--ignore` would have let a request match is found, and does let it match."""

import json
from typing import Any

import pytest

from proxy_policies.capture.model import Body, Headers, Request
from proxy_policies.capture.replay.ignore_hint import hint, ignores_for
from proxy_policies.capture.replay.matching import parse_matching, request_key

FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")


def request(url: str = "/", body: bytes = b"", *fields: tuple[str, str], host: str = "a.test") -> Request:
    headers: Headers = tuple(fields)
    return Request("POST", f"http://{host}{url}", headers, Body(body))


def document(value: Any) -> Request:
    return request("/", json.dumps(value).encode(), JSON)


HINTS = {
    "query": (request("/?r=1&a=1"), request("/?r=2&a=1"), ["query:r"]),
    "new query": (request("/?a=1"), request("/?a=1&r=2"), ["query:r"]),
    "host": (request(host="a.test"), request(host="b.test"), ["host"]),
    "form": (request("/", b"a=1&b=2", FORM), request("/", b"a=1&b=3", FORM), ["form:b"]),
    "json": (document({"a": {"b": [1, 2]}}), document({"a": {"b": [1, 3]}}), ["json:$.a.b[1]"]),
    "odd name": (document({"a b": 1}), document({"a b": 2}), ['json:$["a b"]']),
    "member gone": (document({"a": {"b": 1}}), document({"a": {}}), ["json:$.a"]),
    "top member gone": (document({"b": 1}), document({}), ["body"]),
    "many": (document(list(range(9))), document(list(range(9, 18))), ["body"]),
    "text": (request("/", b"a"), request("/", b"b"), ["body"]),
    "several": (request("/?r=1", b"a"), request("/?r=2", b"b"), ["query:r", "body"]),
}


@pytest.mark.parametrize(("recorded", "got", "ignores"), HINTS.values(), ids=HINTS)
def test_what_would_match_is_found(recorded: Request, got: Request, ignores: list[str]) -> None:
    whole = parse_matching(())
    assert ignores_for(request_key(recorded, whole), request_key(got, whole)) == ignores
    matching = parse_matching(ignores)
    assert request_key(recorded, matching) == request_key(got, matching)


def test_nothing_is_offered_for_another_path() -> None:
    whole = parse_matching(())
    assert hint(request_key(request("/a"), whole), request_key(request("/b"), whole)) == ""


def test_it_can_be_pasted() -> None:
    whole = parse_matching(())
    old, new = request_key(document({"a b": 1}), whole), request_key(document({"a b": 2}), whole)
    assert hint(old, new) == """--ignore 'json:$["a b"]'"""
