"""What every report shows of captured texts: nothing that changes what is seen, or is not seen."""

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support.capture_reports import a_report, an_outcome

from proxy_policies.capture.check.outcome import Report
from proxy_policies.capture.report.html_report import page_html
from proxy_policies.capture.report.junit import junit_pieces
from proxy_policies.capture.report.markdown import markdown
from proxy_policies.capture.report.terminal import change_line

HIDDEN = ["\u202e", "\u2066", "\u200b", "\ufeff", "\xad", "\U000e0041", "\x1b", "\x9b"]
REPORTS: dict[str, Callable[[Report], str]] = {
    "html": page_html,
    "junit": lambda report: "".join(junit_pieces(report)),
    "markdown": lambda report: markdown(report).replace("@\u200b", "@"),
    "terminal": lambda report: "\n".join(map(change_line, report.outcomes[0].changes)),
}


@pytest.mark.parametrize("hidden", HIDDEN, ids=ascii)
@pytest.mark.parametrize("name", REPORTS)
def test_no_report_hides_anything(name: str, hidden: str) -> None:
    text = json.dumps({f"n{hidden}ame": f"gn{hidden}p.exe"}, ensure_ascii=False)
    outcome = an_outcome(1, '{"name": "a"}', text)
    report = replace(a_report(outcome), capture=f"a{hidden}.har")
    shown = REPORTS[name](report)
    assert hidden not in shown
    assert ascii(hidden)[1:-1].removeprefix("\\") in shown


def test_a_command_to_copy_stays_what_it_is() -> None:
    outcome = an_outcome(1, "{}", '{"a": 1}')
    request = replace(outcome.request, url="http://a.test/?q=\u202e\u200d")
    page = page_html(a_report(replace(outcome, request=request)))
    data = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    (shown,) = json.loads(data[1])["outcomes"]
    assert "\u202e\u200d" in shown["curl"]
    assert "\\u202e\\u200d" in shown["url"]
