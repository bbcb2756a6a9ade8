"""The summary for pull requests."""

from proxy_policies.capture.check.noise import Noise
from proxy_policies.capture.check.outcome import CompareOptions, Outcome, Report, evaluate
from proxy_policies.capture.check.sender import SendResult
from proxy_policies.capture.model import Body, Request, Response
from proxy_policies.capture.report.markdown import SHOWN_ENTRIES, escape, markdown

JSON = (("Content-Type", "application/json"),)


def outcome(number: int, old: str, new: str, *, status: int = 200) -> Outcome:
    before, after = Response(200, "", JSON, Body(old.encode())), Response(status, "", JSON, Body(new.encode()))
    request = Request("GET", f"http://shop.test/{number}?a=<b>|c")
    return evaluate(number, request, before, 0.1, SendResult(after, 0.1), CompareOptions(Noise()))


def report(*outcomes: Outcome) -> Report:
    found = Report("shop.har", "run", "http://127.0.0.1:9000")
    found.finish(outcomes, 1.0)
    return found


def test_what_changed_is_a_row() -> None:
    text = markdown(report(outcome(0, "{}", "{}"), outcome(1, '{"n": 1}', '{"n": "@joe|<b>"}', status=500)))
    assert text.startswith("### ❌ shop.har: 2 requests in 1.0 s: 1 the same, 1 changed\n")
    rows = [line for line in text.splitlines() if line.startswith("| 2 ")]
    assert rows == ["| 2 | GET /1?a=&lt;b&gt;\\|c | status: 200 → 500<br>json:$.n: 1 → @\u200bjoe\\|&lt;b&gt; |"]


def test_nothing_changed_is_one_line() -> None:
    assert markdown(report(outcome(0, "{}", "{}"))) == "### ✅ shop.har: 1 request in 1.0 s: 1 the same\n"


def test_a_long_list_is_cut() -> None:
    many = [outcome(n, '{"n": 1}', '{"n": 2}') for n in range(SHOWN_ENTRIES + 3)]
    assert markdown(report(*many)).endswith("… and 3 more\n")


def test_what_was_captured_is_no_markup() -> None:
    assert escape("*a* `b`\n# c [d](e) & @f") == "\\*a\\* \\`b\\` \\# c \\[d\\](e) &amp; @\u200bf"
