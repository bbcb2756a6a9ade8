"""A capture as Python: what is run sends the recorded requests, with live tokens and ids in them."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.origin import Answer, Origin, Received

from proxy_policies.capture.export.python_scripts import locust_file, pytest_module
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

JSON = ("Content-Type", "application/json")
HTML = ("Content-Type", "text/html")
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def recording(sid: str, csrf: str, order: int, origin: str = "http://shop.test") -> list[Entry]:
    """Record a log-in and an order, with what a build hands out."""
    page = Body(f'<form><input name="csrf" value="{csrf}"></form>'.encode())
    cookie: Headers = (("Cookie", f"sid={sid}; theme=dark"),)
    made = json.dumps({"order": {"id": order}, "note": "x"}).encode()
    exchanges = [
        (Request("GET", f"{origin}/"), Response(200, "", (HTML, ("Set-Cookie", f"sid={sid}; Path=/")), page)),
        (
            Request("POST", f"{origin}/login?a=1", (*cookie, FORM), Body(f"csrf={csrf}&password=Summer-25".encode())),
            Response(302, "", (("Location", "/x"),)),
        ),
        (
            Request("POST", f"{origin}/orders", (*cookie, JSON), Body(b'{"n": 1}')),
            Response(201, "", (JSON,), Body(made)),
        ),
        (Request("GET", f"{origin}/orders/{order}", cookie), Response(200, "", (JSON,), Body(b"{}"))),
        (Request("PUT", f"{origin}/pay", (JSON,), Body(f'{{"order_id": {order}}}'.encode())), Response(204)),
        (Request("PUT", f"{origin}/pic", (), Body(b"\x89PNG\0")), Response(200)),
    ]
    return [Entry(request, response, Times(float(n))) for n, (request, response) in enumerate(exchanges)]


def redacted(entries: list[Entry]) -> list[Entry]:
    redactor = Redactor(parse_rules(()), Placeholders(b"k" * 32))
    return [redactor.entry(entry) for entry in entries]


@pytest.fixture
def origin() -> Iterator[Origin]:
    found = Origin()
    yield found
    found.close()


def serve(origin: Origin, entries: list[Entry]) -> None:
    answers = iter(entries)

    def answer(_: Received) -> Answer:
        response = next(answers).response
        return Answer(response.status, list(response.headers), response.body.content)

    origin.route("/", answer)


def test_a_test_sends_what_a_live_build_hands_out(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    old = redacted(recording("Wz-zbpjD-jMLZkbxrVhyYQ", "Xa-1bpjD-jMLZkbxrVhyYQ", 100))
    live = recording("9f_8sdDq-4kLm3XbT7aVwZ", "Qq-1bpjD-jMLZkbxrVhyYZ", 700, origin.url)
    serve(origin, live)
    monkeypatch.setenv("TARGET", origin.url)
    monkeypatch.setenv("PASSWORD", "Summer-25")
    module: dict[str, Any] = {}
    exec("".join(pytest_module(old)), module)
    module["test_capture"]()
    assert [(got.method, got.target, got.body) for got in origin.requests] == [
        (entry.request.method, entry.request.url.removeprefix(origin.url), entry.request.body.content) for entry in live
    ]
    assert [got.get("cookie") for got in origin.requests][1] == "sid=9f_8sdDq-4kLm3XbT7aVwZ; theme=dark"


def test_another_status_fails_it(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    origin.route("/", Answer(500))
    monkeypatch.setenv("TARGET", origin.url)
    module: dict[str, Any] = {}
    exec("".join(pytest_module([Entry(Request("GET", "http://a.test/"), Response(200), Times(1.0))])), module)
    with pytest.raises(AssertionError):
        module["test_capture"]()


def test_a_secret_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PASSWORD", raising=False)
    old = redacted(recording("Wz-zbpjD-jMLZkbxrVhyYQ", "Xa-1bpjD-jMLZkbxrVhyYQ", 100))
    module: dict[str, Any] = {}
    exec("".join(pytest_module(old)), module)
    with pytest.raises(pytest.fail.Exception, match="set PASSWORD in the environment"):
        module["test_capture"]()
    before_load, _, _ = "".join(locust_file(old)).partition("class Recorded")
    with pytest.raises(SystemExit, match="set PASSWORD in the environment"):
        exec(before_load.replace("from locust import HttpUser, between, task", ""), {})


def test_a_locustfile_is_python_and_names_requests_by_their_pattern() -> None:
    text = "".join(locust_file(redacted(recording("Wz-zbpjD-jMLZkbxrVhyYQ", "Xa-1bpjD-jMLZkbxrVhyYQ", 100))))
    compile(text, "locustfile.py", "exec")
    assert "name='GET /orders/*'" in text
    assert "host = 'http://shop.test'" in text


def test_what_was_captured_is_no_code() -> None:
    url, fields = "http://a.test/'+__import__('os').abort()+'", (("X-A", "\"\n'''\\"),)
    evil = Request("GET", url, fields, Body("'''\u2028".encode()))
    calls: list[tuple[str, ...]] = []
    module: dict[str, Any] = {}
    exec("".join(pytest_module([Entry(evil, Response(200), Times(1.0))])), module)
    module["requests"] = SimpleNamespace(request=lambda *arguments, **_: calls.append(arguments))
    with pytest.raises(AttributeError):
        module["test_capture"]()
    assert calls == [("GET", url)]
