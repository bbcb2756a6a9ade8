"""Answers held to an OpenAPI document: paths, methods, statuses, media types, schemas."""

import json
from typing import Any

import pytest

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.model import Body, Request, Response
from proxy_policies.capture.openapi.references import Document
from proxy_policies.capture.openapi.response_checker import checker_of

API: dict[str, Any] = {
    "openapi": "3.1.0",
    "servers": [{"url": "https://{stage}.shop.test/v1", "variables": {"stage": {"default": "live"}}}],
    "paths": {
        "/orders": {"$ref": "#/components/pathItems/Orders"},
        "/orders/latest": {"get": {"responses": {"204": {"description": ""}}}},
        "/orders/{id}": {"get": {"responses": {"200": {"$ref": "#/components/responses/Order"}, "4XX": {}}}},
        "/files/{name}.pdf": {"get": {"responses": {"default": {"content": {"application/*": {}}}}}},
        "/caf%C3%A9": {"get": {"responses": {"200": {"content": {"text/plain; charset=utf-8": {}}}}}},
    },
    "components": {
        "pathItems": {"Orders": {"post": {"responses": {"201": {"$ref": "#/components/responses/Order"}}}}},
        "responses": {"Order": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}},
        "schemas": {"Order": {"type": "object", "required": ["id"]}},
    },
}


def found(method: str, path: str, status: int, mime: str = "", body: Any = b"", api: dict[str, Any] = API) -> list[str]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Response(status, "", (("Content-Type", mime),) if mime else (), Body(content))
    problems = checker_of(Document("api.json", api)).problems(Request(method, f"http://127.0.0.1:9000{path}"), response)
    return [f"{problem.location}: {problem.expected}, {problem.found}" for problem in problems]


JSON = "application/json; charset=utf-8"
FITS: list[tuple[Any, ...]] = [
    ("POST", "/v1/orders", 201, JSON, {"id": 1}),
    ("GET", "/v1/orders/latest", 204),
    ("GET", "/v1/orders/17?x=1", 200, JSON, {"id": 1}),
    ("GET", "/v1/orders/17", 404),
    ("GET", "/v1/files/a%20b.pdf", 500, "application/pdf", b"%PDF"),
    ("GET", "/v1/caf%c3%a9", 200, "text/plain", b"a"),
]


@pytest.mark.parametrize("answer", FITS)
def test_what_fits(answer: tuple[Any, ...]) -> None:
    assert found(*answer) == []


WRONG: dict[str, tuple[tuple[Any, ...], str]] = {
    "path": (("GET", "/v1/order", 200), "openapi:path: a path of the document, /v1/order"),
    "outside the server": (("GET", "/orders/17", 404), "openapi:path: a path of the document, /orders/17"),
    "deeper": (("GET", "/v1/orders/17/x", 404), "openapi:path: a path of the document, /v1/orders/17/x"),
    "method": (("DELETE", "/v1/orders", 204), "openapi:method: POST, DELETE"),
    "status": (("POST", "/v1/orders", 200, JSON, {"id": 1}), "openapi:status: 201, 200"),
    "the concrete path": (("GET", "/v1/orders/latest", 200, JSON, {"id": 1}), "openapi:status: 204, 200"),
    "media type": (
        ("POST", "/v1/orders", 201, "text/html", b"<p>"), "openapi:content: application/json, text/html",
    ),
    "no media type": (("POST", "/v1/orders", 201, "", b"x"), "openapi:content: application/json, no media type"),
    "range": (("GET", "/v1/files/a.pdf", 200, "image/png", b"x"), "openapi:content: application/*, image/png"),
    "no content": (("POST", "/v1/orders", 201), "openapi:content: application/json, no content"),
    "content": (("GET", "/v1/orders/17", 404, "text/html", b"<p>"), "openapi:content: no content, text/html"),
    "no JSON": (("POST", "/v1/orders", 201, JSON, b"{"), "openapi:content: JSON, no JSON"),
    "schema": (("POST", "/v1/orders", 201, JSON, {}), "openapi:$: the members 'id', without 'id'"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "problem"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit(answer: tuple[Any, ...], problem: str) -> None:
    assert found(*answer) == [problem]


def test_without_servers_paths_are_whole() -> None:
    assert found("GET", "/orders/latest", 204, api={**API, "servers": []}) == []


@pytest.mark.parametrize(
    ("root", "problem"),
    [
        ({"swagger": "2.0"}, "of version 2.0; OpenAPI 3.0 and 3.1 are supported"),
        ({"openapi": "4.0.0"}, "of version 4.0.0"),
        ({"log": {}}, "no OpenAPI document"),
    ],
)
def test_another_document_is_refused(root: dict[str, Any], problem: str) -> None:
    with pytest.raises(CaptureError, match=problem):
        checker_of(Document("api.json", root))


@pytest.mark.parametrize("paths", [[], {"/a": 3}, {"/a": {"get": None}}, {"/a": {"get": {"responses": []}}}])
def test_a_document_with_holes_is_no_traceback(paths: Any) -> None:
    assert found("GET", "/a", 200, api={"openapi": "3.1.0", "paths": paths})
