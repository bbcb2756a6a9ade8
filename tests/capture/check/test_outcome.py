"""What came of an entry, and of all."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.capture_reports import a_report, an_outcome

from proxy_policies.capture.check.noise import NoiseRules, match_rule
from proxy_policies.capture.check.outcome import (
    MAX_DETAILED,
    CompareOptions,
    Outcome,
    Report,
    drop_excess_bodies,
    evaluate,
)
from proxy_policies.capture.check.results import SendResult
from proxy_policies.capture.check.secret_pairs import SecretPairs
from proxy_policies.capture.model import Body, Headers, Request, Response
from proxy_policies.capture.secrets.placeholders import Placeholders

REQUEST = Request("GET", "http://a.test/orders?page=2")
OLD, NEW = Response(200, "", (), Body(b'{"n": 1}')), Response(200, "", (), Body(b'{"n": 2}'))


def test_what_changed_is_kept_with_both_answers() -> None:
    found = evaluate(3, REQUEST, OLD, 0.5, SendResult(NEW, 0.25), CompareOptions(NoiseRules()))
    assert (found.verdict, found.title, found.number) == ("changed", "GET /orders?page=2", 3)
    assert (found.old, found.new, found.old_seconds, found.new_seconds) == (OLD, NEW, 0.5, 0.25)
    assert [change.location for change in found.changes] == ["json:$.n"]


def test_what_is_noise_is_passed_over_and_told() -> None:
    found = evaluate(0, REQUEST, OLD, 0, SendResult(NEW), CompareOptions(NoiseRules([match_rule("$.n=number±1")])))
    assert (found.verdict, found.old, found.new) == ("same", None, None)
    assert [change.location for change in found.ignored] == ["json:$.n"]


def test_a_slower_answer_is_a_change_when_that_is_asked_for() -> None:
    slow = SendResult(OLD, 5.0)
    assert evaluate(0, REQUEST, OLD, 0.5, slow, CompareOptions(NoiseRules())).verdict == "same"
    (change,) = evaluate(0, REQUEST, OLD, 0.5, slow, CompareOptions(NoiseRules(), factor=2)).changes
    assert change.location == "time"


@pytest.mark.parametrize(
    ("sent", "verdict"), [(SendResult(error="refused"), "error"), (SendResult(skipped="cut"), "skipped")]
)
def test_without_an_answer_it_is_said_why(sent: SendResult, verdict: str) -> None:
    found = evaluate(0, REQUEST, OLD, 0, sent, CompareOptions(NoiseRules()))
    assert (found.verdict, found.error, found.skipped) == (verdict, sent.error, sent.skipped)
    assert (found.old_status, found.new_status) == (200, 0)


IDS = [f"{number}f9619ff-8b86-4d01-b42d-00cf4fc964ff" for number in range(6)]
AS_JSON, AS_EVENTS, AS_TEXT = (
    (("Content-Type", mime),) for mime in ("application/json", "text/event-stream", "text/plain")
)
WRITTEN: dict[str, tuple[Headers, Callable[[list[str]], str]]] = {
    "list": (AS_JSON, lambda ids: json.dumps([{"id": one} for one in ids])),
    "members": (AS_JSON, lambda ids: json.dumps({f"m{at}": one for at, one in enumerate(ids)})),
    "events": (AS_EVENTS, lambda ids: "".join(f'data: {{"id": "{one}"}}\n\n' for one in ids)),
    "lines": (AS_TEXT, lambda ids: "".join(f"order {one}\n" for one in ids)),
}


def verdict_of(kind: str, old: list[str], new: list[str]) -> str:
    fields, write = WRITTEN[kind]
    one, other = (Response(200, "", fields, Body(write(ids).encode())) for ids in (old, new))
    return evaluate(0, REQUEST, one, 0, SendResult(other), CompareOptions(NoiseRules())).verdict


@pytest.mark.parametrize("kind", WRITTEN)
def test_ids_may_be_new_but_not_change_places(kind: str) -> None:
    assert verdict_of(kind, IDS[:3], IDS[3:]) == "same"
    assert verdict_of(kind, IDS[:3], [IDS[1], IDS[0], IDS[2]]) == "changed"
    if kind == "lines":
        return  # which are aligned by what they say
    times = ["2026-11-28T10:00:01Z", "2026-11-28T10:00:02Z", "2026-11-28T10:00:03Z"]
    assert verdict_of(kind, times[:2], times[1:]) == "same"


KEY = Placeholders(b"k" * 32)
HEX, OTHER_HEX = KEY.of("a1b2c3d4e5f60718"), KEY.of("0f1e2d3c4b5a6978")
ONE, OTHER = (Response(200, "", (("X-Token", token),)) for token in (HEX, OTHER_HEX))


def test_secrets_are_counted_by_entry() -> None:
    rules = CompareOptions(NoiseRules(), secrets=SecretPairs(KEY.of))
    found = [evaluate(number, REQUEST, ONE, 0, SendResult(OTHER), rules) for number in range(2)]
    assert [(outcome.verdict, outcome.secrets) for outcome in found] == [("same", 1), ("same", 1)]


def test_what_was_sent_is_known_when_it_comes_back() -> None:
    sent = SendResult(OTHER, secrets=((HEX, HEX),))
    found = evaluate(0, REQUEST, ONE, 0, sent, CompareOptions(NoiseRules(), secrets=SecretPairs(KEY.of)))
    assert [change.location for change in found.changes] == ["header:x-token"]


def test_a_root_is_a_path() -> None:
    assert replace(an_outcome(0, "{}", "{}"), request=Request("GET", "http://a.test")).title == "GET /"


def test_only_the_first_keep_their_answers() -> None:
    changed, same = an_outcome(0, "1", "2"), an_outcome(0, "1", "1")
    kept = list(drop_excess_bodies([*[changed, same] * MAX_DETAILED, changed]))
    assert [outcome.changes for outcome in kept] == [*[changed.changes, ()] * MAX_DETAILED, changed.changes]
    assert sum(outcome.old is not None for outcome in kept) == MAX_DETAILED
    assert (kept[-1].old, kept[-1].new) == (None, None)


verdicts = st.sampled_from(["same", "changed", "error", "skipped"])
MADE = {
    "same": an_outcome(0, "1", "1"),
    "changed": an_outcome(0, "1", "2"),
    "error": Outcome(0, REQUEST, 200, 0, 0, 0, error="x"),
    "skipped": Outcome(0, REQUEST, 200, 0, 0, 0, skipped="x"),
}


@given(st.lists(verdicts))
def test_a_difference_or_an_error_fails_the_run(names: list[str]) -> None:
    report = a_report(*(MADE[name] for name in names))
    assert report.counts == {name: names.count(name) for name in MADE}
    assert report.exit_code == int("changed" in names or "error" in names)


def test_nothing_sent_is_no_failure() -> None:
    assert Report("a.har", "run", "").exit_code == 0
