"""What is written about a replay."""

import pytest

from proxy_policies.capture.model import Entry, Request, Response, Times
from proxy_policies.capture.replay.call_index import CallIndex
from proxy_policies.capture.replay.cassette import Cassette, ReplayMode
from proxy_policies.capture.replay.matching import Matching, request_key
from proxy_policies.capture.replay.replay_report import ReplayReport
from proxy_policies.capture.replay.replay_session import ReplaySession
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

URLS = ("http://shop.test/a", "http://shop.test/b")


@pytest.fixture
def session() -> ReplaySession:
    """A session of two recordings, of which the first was played."""
    entries = [Entry(Request("GET", url), Response(200, "OK"), Times(0.0)) for url in URLS]
    redactor, cassette = Redactor(parse_rules(()), Placeholders(b"k" * 32)), Cassette(ReplayMode.STRICT)
    for entry in entries:
        cassette.add(request_key(entry.request, Matching()))
    cassette.use(0)
    return ReplaySession(cassette, entries, redactor, CallIndex(entries, redactor, Matching()), ["entry 9: broken"])


def test_everything_is_reported(session: ReplaySession, caplog: pytest.LogCaptureFixture) -> None:
    report = ReplayReport()
    report.add_inexact("http://shop.test/a?id=1", 0, ["query id"])
    report.add_miss("http://shop.test/x", "not recorded")["why"] = "nothing like it"
    assert not caplog.messages
    report.add_and_log_miss("http://shop.test/y", "recorded once")
    assert caplog.messages == ["replay: http://shop.test/y: recorded once"]
    assert report.document(session, is_strict=True) == {
        "played": 1,
        "problems": ["entry 9: broken"],
        "alike": [{"url": "http://shop.test/a?id=1", "entry": 1, "why": "query id"}],
        "misses": [
            {"url": "http://shop.test/x", "why": "nothing like it"},
            {"url": "http://shop.test/y", "why": "recorded once"},
        ],
        "unused": ["entry 2: GET http://shop.test/b"],
    }
    assert report.document(session, is_strict=False)["unused"] == []
