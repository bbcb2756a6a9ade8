"""Copies of live requests to a candidate build: what it answers otherwise, and no client notices."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.waiting import wait_until

JSON = [("Content-Type", "application/json")]


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    over = threading.Event()
    yield over
    over.set()


def test_a_candidate_is_compared_and_no_client_notices(
    origin: Callable[..., Origin],
    mitmdump: Callable[..., Mitmdump],
    curl: Any,
    hanging: threading.Event,
    tmp_path: Path,
) -> None:
    real, candidate = origin(), origin()

    def hang(_: Received) -> Answer:
        hanging.wait(120)
        return Answer()

    for server, price in ((real, 1), (candidate, 2)):
        server.route("/same", Answer(200, JSON, b'{"a": 1}'))
        server.route("/price", Answer(200, JSON, json.dumps({"price": price}).encode()))
        server.route("/large", Answer(200, JSON, b"x" * 5000))
        server.route("/chunks", Answer(200, JSON, [b'{"price":', f" {price}}}".encode()]))
    candidate.route("/hang", hang)
    report = tmp_path / "mirror.json"
    options = {
        "mirror_to": candidate.url,
        "mirror_report": report,
        "mirror_max_body": "2k",
        "mirror_filter": "!~u never",
    }
    proxy = mitmdump(*[part for name, value in options.items() for part in ("--set", f"{name}={value}")])

    def ask(path: str, *arguments: str) -> str:
        return str(curl("-x", proxy.url, *arguments, real.url + path).body.decode())

    for _ in range(9):
        assert ask("/hang") == "hello from the origin\n", "a candidate that hangs keeps nobody waiting"
    hanging.set()
    assert ask("/same", "-H", "Cookie: sid=Zq7hunter2", "-H", "Authorization: Bearer Zq7hunter2") == '{"a": 1}'
    assert ask("/price", "-H", 'If-None-Match: "a"') == '{"price": 1}'
    assert ask("/chunks") == '{"price": 1}'
    assert ask("/price", "-d", "a=1") == '{"price": 1}'
    assert len(ask("/large")) == 5000
    assert ask("/never") == "hello from the origin\n"

    def counts() -> dict[str, Any]:
        return dict(json.loads(report.read_text())) if report.exists() else {"mirror": {"copied": 0}}

    wait_until(lambda: counts()["mirror"]["copied"] == 12, 60, "the copies to be compared")
    outcomes = {outcome["title"]: outcome for outcome in counts()["outcomes"]}
    assert [change["location"] for change in outcomes["GET /price"]["changes"]] == ["json:$.price"]
    assert [change["location"] for change in outcomes["GET /chunks"]["changes"]] == ["json:$.price"]
    assert outcomes["GET /same"]["verdict"] == "same"
    assert counts()["mirror"]["not_copied"] == {"body too large": 1}
    assert report.stat().st_mode & 0o777 == 0o600
    copied = [(request.method, request.target) for request in candidate.requests]
    assert sorted(set(copied)) == [("GET", "/chunks"), ("GET", "/hang"), ("GET", "/price"), ("GET", "/same")]
    names = {name.lower() for request in candidate.requests for name, _ in request.headers}
    assert not names & {"cookie", "authorization", "proxy-authorization", "if-none-match"}
    assert {"host", "x-mirrored-by"} <= names
    assert proxy.stop() == 0
    proxy.wait_log(re.escape("12 copied, 10 the same, 2 changed, 1 not copied: body too large"))


WRONG = {"mirror_to": "shop", "mirror_share": "2", "mirror_noise": "nowhere.noise", "mirror_report": "no/where.json"}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_is_one_line(name: str, mitmdump: Callable[..., Mitmdump]) -> None:
    proxy = mitmdump("--set", f"{name}={WRONG[name]}", wait=False)
    assert proxy.process.wait(60) == 1
    proxy.wait_log(re.escape(f"option {name}"))
    assert "Traceback" not in proxy.log()
