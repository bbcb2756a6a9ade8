"""The summary for pull requests."""

from tests.support.capture_reports import a_report, an_outcome

from proxy_policies.capture.report.markdown import SHOWN_ENTRIES, escape, markdown


def test_what_changed_is_a_row() -> None:
    text = markdown(a_report(an_outcome(0, "{}", "{}"), an_outcome(1, '{"n": 1}', '{"n": "@joe|<b>"}', status=500)))
    assert text.startswith("### ❌ shop.har: 2 requests in 1.0 s: 1 the same, 1 changed\n")
    rows = [line for line in text.splitlines() if line.startswith("| 2 ")]
    assert rows == ["| 2 | GET /1?a=&lt;b&gt;\\|c | status: 200 → 500<br>json:$.n: 1 → @\u200bjoe\\|&lt;b&gt; |"]


def test_nothing_changed_is_one_line() -> None:
    assert markdown(a_report(an_outcome(0, "{}", "{}"))) == "### ✅ shop.har: 1 request in 1.0 s: 1 the same\n"


def test_a_long_list_is_cut() -> None:
    many = [an_outcome(n, '{"n": 1}', '{"n": 2}') for n in range(SHOWN_ENTRIES + 3)]
    assert markdown(a_report(*many)).endswith("… and 3 more\n")


def test_what_was_captured_is_no_markup() -> None:
    assert escape("*a* `b`\n# c [d](e) & @f") == "\\*a\\* \\`b\\` \\# c \\[d\\](e) &amp; @\u200bf"


def test_what_was_captured_drives_no_terminal() -> None:
    assert escape("a\x1b]0;b\x07\u202e.har") == "a\\\\x1b\\]0;b\\\\x07\\\\u202e.har"
