"""What is needed to send a recording again is gathered, and missed, before the first request."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy_policies.capture.check.check_run import CheckRun, noise_file, require_reachable
from proxy_policies.capture.check.correlate import parse_carry_rules
from proxy_policies.capture.check.noise import NoiseRules
from proxy_policies.capture.check.outcome import CompareOptions, Outcome
from proxy_policies.capture.check.results import SendResult
from proxy_policies.capture.check.secret_values import SecretValues
from proxy_policies.capture.check.targets import CheckTarget
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import parse_rules

KEY = Placeholders(b"k" * 32)
HOLDER, OTHER = KEY.of("hunter2-Q9xZ"), KEY.of("another-Q9xZ-7")
JSON = (("Content-Type", "application/json"),)


def an_entry(url: str, when: float, answer: str = "{}", *fields: tuple[str, str]) -> Entry:
    return Entry(Request("GET", url, fields), Response(200, "OK", JSON, Body(answer.encode())), Times(when))


LOGIN = an_entry("http://a.test/login", 1.0, f'{{"csrf": "{HOLDER}"}}')
USE = an_entry("http://a.test/use", 2.0, "{}", ("X-Csrf", HOLDER), ("X-Api-Key", OTHER))
ELSEWHERE = an_entry("http://b.test/", 3.0, "{}", ("X-Api-Key", OTHER))


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., CheckRun]:
    def open_run(*entries: Entry, carries: tuple[str, ...] = (), **secrets: str) -> CheckRun:
        path = tmp_path / "a.har"
        writer.rewrite(path, writer.new_log(KEY.key_id), entries)
        return CheckRun(path, SecretValues(secrets, KEY), KEY, parse_rules(()), parse_carry_rules(carries))

    return open_run


def test_it_knows_the_order_and_what_is_carried_over(opened: Callable[..., CheckRun]) -> None:
    run = opened(ELSEWHERE, USE, LOGIN)
    assert list(run.order) == [2, 1, 0]
    assert [str(link) for link in run.links] == ["entry 3 json:$.csrf → entry 2 header:x-csrf"]


def test_a_placeholder_that_nothing_stands_for_is_named(opened: Callable[..., CheckRun]) -> None:
    def missing(*origins: str, carries: tuple[str, ...] = (), **secrets: str) -> list[str]:
        run = opened(LOGIN, USE, ELSEWHERE, carries=carries, **secrets)
        return run.unresolved({origin: CheckTarget(origin, "http://127.0.0.1:9") for origin in origins})

    expected = f"entry 2, GET http://a.test/use: {OTHER} (header:x-api-key)"
    assert missing("http://a.test") == [expected]
    assert len(missing("http://a.test", "http://b.test")) == 2
    assert missing("http://a.test", "http://b.test", key="another-Q9xZ-7") == []
    assert missing("http://a.test", carries=("json:$.csrf=header:x-api-key",)) == []
    assert missing() == []


def test_what_a_client_says_later_is_looked_through_too(opened: Callable[..., CheckRun]) -> None:
    said = WebSocketMessage(True, True, b'{"token": "%s"}' % HOLDER.encode(), 2.0)
    shaken = Response(101, "", (("Upgrade", "websocket"),))
    run = opened(Entry(Request("GET", "http://a.test/chat"), shaken, Times(1.0), messages=(said,)))
    (found,) = run.unresolved({"http://a.test": CheckTarget("http://a.test", "http://127.0.0.1:9")})
    assert found.endswith(f"{HOLDER} (json:$.token)")


def answer(text: str, *secrets: tuple[str, str]) -> SendResult:
    return SendResult(Response(200, "OK", JSON, Body(text.encode())), 0.1, secrets=secrets)


def verdicts(outcomes: list[Outcome]) -> list[tuple[int, str, list[str]]]:
    return [(one.number, one.verdict, [change.location for change in one.changes]) for one in outcomes]


def test_what_came_is_compared_with_the_recording_in_its_order(opened: Callable[..., CheckRun]) -> None:
    run = opened(ELSEWHERE, an_entry("http://a.test/", 1.0, '{"n": 1}'))
    results = {0: SendResult(skipped="no --target"), 1: answer('{"n": 2}')}
    found = run.compare_with_recording(results, CompareOptions(NoiseRules()))
    assert verdicts(list(found)) == [(1, "changed", ["json:$.n"]), (0, "skipped", [])]


def test_two_builds_are_compared_with_each_other(opened: Callable[..., CheckRun]) -> None:
    run = opened(LOGIN, USE, ELSEWHERE)
    old = {0: answer('{"n": 1}'), 1: SendResult(error="refused"), 2: SendResult(skipped="cut")}
    new = {0: answer('{"n": 2}'), 1: answer("{}"), 2: SendResult(skipped="cut")}
    found = list(run.compare_builds(old, new, CompareOptions(NoiseRules())))
    assert verdicts(found) == [(0, "changed", ["json:$.n"]), (1, "error", []), (2, "skipped", [])]
    assert found[1].error == "old: refused"
    assert found[0].old_seconds == found[0].new_seconds == 0.1


def test_what_differs_between_two_runs_of_one_build_is_noise(opened: Callable[..., CheckRun]) -> None:
    run = opened(an_entry("http://a.test/x", 1.0), USE)
    first = {0: answer('{"n": 1}'), 1: SendResult(error="refused")}
    second = {0: answer('{"n": 2}'), 1: answer("{}")}
    assert [str(learned.rule) for learned in run.learn_noise(first, second)] == ["GET /x match:$.n=type"]


def test_noise_is_kept_beside_the_capture() -> None:
    assert noise_file(Path("captures/shop.har")) == Path("captures/shop.har.noise")


def test_a_target_that_takes_no_connection_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        require_reachable([CheckTarget("http://a.test", f"http://127.0.0.1:{port}")])
    for live in (f"http://127.0.0.1:{port}", "http://127.0.0.1:99999"):
        with pytest.raises(CaptureError, match=f"^cannot reach {live}: ") as error:
            require_reachable([CheckTarget("http://a.test", live)])
        assert "\n" not in str(error.value)
