"""A capture as Python: what is run sends the recorded requests, with live tokens and ids in them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from tests.support.origin import Answer, Origin
from tests.support.shop_recording import PASSWORD, assert_sent, live_recording, old_recording

from proxy_policies.capture.export.python_scripts import locust_file, pytest_module
from proxy_policies.capture.model import Body, Entry, Request, Response, Times


def test_a_test_sends_what_a_live_build_returned(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    live = live_recording(origin)
    monkeypatch.setenv("TARGET", origin.url)
    monkeypatch.setenv("PASSWORD", PASSWORD)
    monkeypatch.setenv("PASSCODE", PASSWORD)
    module: dict[str, Any] = {}
    exec("".join(pytest_module(old_recording())), module)
    module["test_capture"]()
    assert_sent(origin.requests, live)


def test_another_status_fails_it(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    origin.route("/", Answer(500))
    monkeypatch.setenv("TARGET", origin.url)
    module: dict[str, Any] = {}
    exec("".join(pytest_module([Entry(Request("GET", "http://a.test/"), Response(200), Times(1.0))])), module)
    with pytest.raises(AssertionError):
        module["test_capture"]()


def test_a_secret_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PASSWORD", raising=False)
    old = old_recording()
    module: dict[str, Any] = {}
    exec("".join(pytest_module(old)), module)
    with pytest.raises(pytest.fail.Exception, match="set PASSWORD in the environment"):
        module["test_capture"]()
    before_load, _, _ = "".join(locust_file(old)).partition("class Recorded")
    with pytest.raises(SystemExit, match="set PASSWORD in the environment"):
        exec(re.sub("(?m)^from locust.*", "", before_load), {})


def test_a_locustfile_sends_what_a_live_build_returned(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    live = live_recording(origin)
    session = LocustSession(origin.url)
    monkeypatch.setenv("PASSWORD", PASSWORD)
    monkeypatch.setenv("PASSCODE", PASSWORD)
    user = locust_user(old_recording())
    user.client = session
    user.capture()
    assert_sent(origin.requests, live)
    assert session.failures == []


def test_another_status_ends_an_iteration_of_locust(origin: Origin) -> None:
    origin.route("/", Answer(500, body=b"broken"))
    entries = [Entry(Request("GET", f"http://a.test/{n}"), Response(200), Times(n)) for n in (1, 2)]
    user = locust_user(entries)
    user.client = LocustSession(origin.url)
    with pytest.raises(StopIteration):
        user.capture()
    assert user.client.failures == ["500, recorded was 200: broken"]
    assert len(origin.requests) == 1


def locust_user(entries: list[Entry]) -> Any:
    """Return a user of a locustfile, on stand-ins for Locust's names."""
    text = re.sub("(?m)^from locust.*", "", "".join(locust_file(entries)))
    names: dict[str, Any] = {
        **{"HttpUser": object, "between": range, "task": lambda function: function},
        "RescheduleTask": StopIteration,
    }
    exec(text, names)
    return names["Recorded"]()


class LocustSession(requests.Session):
    """Locust's session: responses are context managers that are told whether they are what was expected."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self.base_url = base_url
        self.trust_env = False
        self.failures: list[str] = []

    @contextmanager
    def request(  # type: ignore[override]
        self, method: str, url: str, *, name: str, catch_response: bool, **options: Any
    ) -> Iterator[Any]:
        response: Any = super().request(method, f"{self.base_url}{url}", **options)
        response.success, response.failure = (lambda: None), self.failures.append
        yield response


def test_a_locustfile_is_python_and_names_requests_by_their_pattern() -> None:
    text = "".join(locust_file(old_recording()))
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
