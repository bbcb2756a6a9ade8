"""What is kept of the last flows, and counted of all."""

import json

import pytest

from proxy_policies.explain.verdicts import (
    KEPT,
    LONGEST_TITLE,
    MAX_VERDICTS,
    Decided,
    Recent,
    outcome,
    summary,
)
from proxy_policies.trace import Note


def note(policy: str, verdict: str) -> Note:
    return {"policy": policy, "verdict": verdict, "why": "because"}


def test_the_last_are_kept_and_all_are_counted() -> None:
    recent = Recent()
    for number in range(KEPT + 50):
        recent.add(Decided(number, f"GET /{number}", "200", [note("cache", "miss"), note("cache", "stored")]))
    assert recent.counts() == {"flows": KEPT + 50, "cache: stored": KEPT + 50}
    assert [one.title for one in recent.find("", 2)] == [f"GET /{KEPT + 48}", f"GET /{KEPT + 49}"]
    assert len(recent.find("", KEPT * 2)) == KEPT
    assert [one.title for one in recent.find("/60", 5)] == ["GET /60"]
    assert recent.find("", 0) == recent.find("", -1) == recent.find("/nowhere", 5) == []


def test_a_flow_is_found_by_the_url_that_the_client_asked_for() -> None:
    recent = Recent()
    recent.add(Decided(0, "GET http://origin.test/a", "200", [note("cache", "miss") | {"key": "http://shop.test/a"}]))
    assert len(recent.find("shop.test/a", 1)) == len(recent.find("origin.test/a", 1)) == 1


def test_nothing_of_a_peer_grows_without_end() -> None:
    recent = Recent()
    for number in range(MAX_VERDICTS * 2):
        recent.add(Decided(0, "x" * 100_000, "", [note("rule", str(number))]))
    assert len(recent.counts()) == MAX_VERDICTS + 2
    assert recent.counts()["others"] == MAX_VERDICTS
    assert len(recent.find("", 1)[0].title) == LONGEST_TITLE


def test_it_is_json_and_harmless_on_a_terminal() -> None:
    (one,) = [Decided(1.23456, "GET /\x1b[31m", "\x9b", [note("a", "b\x07")])]
    written = one.as_json()
    assert json.loads(json.dumps(written)) == written
    assert (written["ended"], written["flow"], written["outcome"]) == (1.235, "GET /\\x1b[31m", "\\x9b")
    assert written["lines"] == ["a  b\\x07: because"]


def test_a_verdict_is_the_last_word_of_each_policy() -> None:
    hit, plain = note("cache", "hit"), note("encoding", "plain")
    assert summary([{**hit, "verdict": "stale"}, plain, hit]) == "hit · cache: hit · encoding: plain"
    assert summary([plain]) == "encoding: plain"
    assert summary([]) == ""


OUTCOMES = {
    "a hit": ({"headers": "set X", "cache": "hit"}, "hit"),
    "a stale response": ({"cache": "stale"}, "stale"),
    "a miss that is stored": ({"cache": "stored", "encoding": "zstd"}, "miss"),
    "a miss that is not": ({"cache": "not stored"}, "miss"),
    "one that the origin validated": ({"cache": "validated"}, "validated"),
    "an origin that failed": ({"cache": "not stored", "proxy": "failed"}, "failed"),
    "a tunnel that is open": ({"passthrough": "untouched"}, "untouched"),
    "a tunnel that is over": ({"passthrough": "closed"}, "untouched"),
    "a loop": ({"hops": "refused"}, "refused"),
    "refused by a policy of the user's": ({"cache": "stored", "limit": "refused"}, "refused"),
    "a recording": ({"replay": "played"}, "played"),
    "nothing to speak of": ({"encoding": "zstd"}, ""),
}


@pytest.mark.parametrize(("verdicts", "word"), OUTCOMES.values(), ids=OUTCOMES)
def test_the_outcome_is_one_word(verdicts: dict[str, str], word: str) -> None:
    assert outcome(verdicts) == word
