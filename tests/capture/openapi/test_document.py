"""An OpenAPI document of traffic: a validator accepts it, its own traffic fits it, and no secret is in it."""

import json
import random
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate as validate_document

from proxy_policies.capture.check.conformance import recorded_outcomes, violations
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times
from proxy_policies.capture.openapi.document import openapi_document
from proxy_policies.capture.openapi.references import Document
from proxy_policies.capture.openapi.response_checker import checker_of
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

JSON = ("Content-Type", "application/json; charset=utf-8")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
SECRET = "hunter2-Q9xZ4tokn"
NOTHING = Body()


def validate(document: dict[Any, Any]) -> None:
    validate_document(document)


def entry(
    method: str, path: str, status: int = 200, body: Any = None, fields: Headers = (), sent: Body = NOTHING
) -> Entry:
    response = Response(status, "", (JSON,), Body(json.dumps(body).encode())) if body is not None else Response(status)
    return Entry(Request(method, f"http://shop.test{path}", fields, sent), response, Times(1.0))


def cleaned(*entries: Entry) -> list[Entry]:
    redactor = Redactor(parse_rules([]), Placeholders(b"k" * 32))
    return [redactor.entry(one) for one in entries]


ENTRIES = cleaned(
    entry("GET", "/orders?page=1&tag=a&tag=b", 200, [{"id": 1, "due": "2026-11-28"}]),
    entry("GET", "/orders?page=2", 200, [{"id": 2, "due": None}]),
    entry("GET", "/orders/17", 200, {"id": 17, "token": SECRET}, (("Authorization", f"Bearer {SECRET}"),)),
    entry("GET", "/orders/18", 404, {"error": "none"}, (("Authorization", f"Bearer {SECRET}"),)),
    entry("GET", "/orders/18", 401),
    entry("POST", "/orders", 201, {"id": 19}, (JSON,), Body(b'{"n": 2, "note": "x"}')),
    entry("POST", "/orders", 201, {"id": 20}, (JSON,), Body(b'{"n": 3}')),
    entry("POST", "/login", 302, None, (FORM,), Body(f"user=joe&password={SECRET}".encode())),
    entry("HEAD", "/orders", 200),
    entry("PURGE", "/orders", 200),
    entry("OPTIONS", "/orders", 204, None, (("Access-Control-Request-Method", "PUT"),)),
    entry("GET", "/never", 0),
)


def test_a_capture_has_its_document() -> None:
    document = openapi_document(ENTRIES)
    validate(document)
    orders, order = document["paths"]["/orders"], document["paths"]["/orders/{orderId}"]
    assert list(document["paths"]) == ["/login", "/orders", "/orders/{orderId}"]
    assert list(orders) == ["get", "post", "head"]
    assert orders["get"]["operationId"] == "getOrders"
    assert order["get"]["operationId"] == "getOrdersByOrderId"
    assert orders["get"]["parameters"] == [
        {"name": "page", "in": "query", "required": True, "schema": {"type": "integer"}},
        {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
    ]
    assert orders["post"]["requestBody"] == {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"n": {"type": "integer"}, "note": {"type": "string"}},
                    "required": ["n"],
                }
            }
        },
        "required": True,
    }
    assert list(order["get"]["responses"]) == ["200", "401", "404"]
    assert order["get"]["security"] == [{"bearerAuth": []}]  # the one without credentials was refused
    assert "security" not in orders["get"]
    assert document["components"]["securitySchemes"] == {"bearerAuth": {"type": "http", "scheme": "bearer"}}
    assert "secret_" not in json.dumps(document)


def test_several_origins_are_servers() -> None:
    other = Entry(Request("GET", "https://api.test:8443/v1/x"), Response(204), Times(1.0))
    document = openapi_document([*ENTRIES, other])
    validate(document)
    assert document["servers"] == [{"url": "http://shop.test"}, {"url": "https://api.test:8443"}]
    assert document["paths"]["/v1/x"]["servers"] == [{"url": "https://api.test:8443"}]


def test_of_nothing_there_is_a_document_too() -> None:
    validate(openapi_document([]))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 999), st.sampled_from(["a", "2026-11-28", SECRET, "é"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "token", "password", "b c", "7"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = st.sampled_from(["/", "/a", "/a/1", "/a/2/b", "/a-b", "/a/b", "/%7Bx%7D", "/{x}", f"/reset/{SECRET}", "/é"])
QUERIES = st.sampled_from(["", "?", "?a=1", "?a=x&a=2", f"?api_key={SECRET}", "?%26=1&b"])
TYPES = st.sampled_from(["application/json", "text/html", "application/problem+json", "image/png", ""])
PREFLIGHT = (("Access-Control-Request-Method", "GET"),)
FIELDS = st.sampled_from([(), PREFLIGHT, (("Authorization", f"Bearer {SECRET}"),), (("Cookie", f"sid={SECRET}; a=b"),)])

OTHERS = st.sampled_from([b"", b"\xff\0", b"hi"])


@st.composite
def exchanges(draw: st.DrawFn) -> Entry:
    body = json.dumps(draw(VALUES)).encode() if draw(st.booleans()) else draw(OTHERS)
    mime = draw(TYPES)
    fields: Headers = (("Content-Type", mime),) if mime else ()
    if "json" in mime and body in (b"\xff\0", b"hi"):
        body = b"{}"
    status = draw(st.sampled_from([200, 201, 204, 299, 302, 404, 500, 600, 999]))
    method = draw(st.sampled_from(["GET", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "PROPFIND"]))
    sent = Body(json.dumps(draw(VALUES)).encode()) if method == "POST" else Body()
    url = f"http://shop.test{draw(PATHS)}{draw(QUERIES)}"
    response = Response(status, "", fields, Body(body) if status != 204 else Body())
    return Entry(Request(method, url, (*draw(FIELDS), JSON), sent), response, Times(1.0))


@settings(max_examples=12)
@given(st.lists(exchanges(), max_size=6), st.randoms(use_true_random=False))
def test_any_traffic_has_a_document_that_it_fits(entries: list[Entry], draw: random.Random) -> None:
    clean = cleaned(*entries)
    document = openapi_document(clean)
    validate(document)
    assert json.dumps(document) == json.dumps(openapi_document(draw.sample(clean, len(clean))))
    assert SECRET not in json.dumps(document)
    checker = checker_of(Document("api.json", document))
    for outcome in recorded_outcomes(clean, checker):
        changes = outcome.changes
        empty = [change for change in changes if "no content" in (change.old, change.new)]  # of others of this status
        assert not [change for change in changes if change not in empty]


def test_another_answer_does_not_fit() -> None:
    checker = checker_of(Document("api.json", openapi_document(ENTRIES)))
    changed = replace(ENTRIES[0].response, body=Body(b'[{"id": "1", "due": 3}, {}]'))
    found = violations(checker, ENTRIES[0].request, changed)
    assert [change.location for change in found] == [
        *("openapi:$[0].due", "openapi:$[0].id", "openapi:$[1]", "openapi:$[1]"),
    ]
