"""The report for a terminal."""

import io
import shlex
from dataclasses import replace

import pytest
from rich.console import Console
from tests.support.capture_reports import a_report, an_outcome

from proxy_policies.capture.check.change import Change
from proxy_policies.capture.check.noise import NoiseRules, match_rule, parse_rules
from proxy_policies.capture.check.outcome import CompareOptions, Outcome, Report, evaluate
from proxy_policies.capture.check.results import SendResult
from proxy_policies.capture.report.terminal import (
    SHOWN_CHANGES,
    SHOWN_ENTRIES,
    VALUE_WIDTH,
    change_line,
    print_report,
    secrets_line,
    short,
    summary_line,
)


def printed(report: Report) -> list[str]:
    out = io.StringIO()
    print_report(report, Console(file=out, width=80, highlight=False))
    return out.getvalue().splitlines()


CHANGES = {
    "changed": (Change("json:$.total", 12, "13"), "json:$.total: 12 → 13"),
    "of another type": (Change("json:$.n", 1, "1"), 'json:$.n: 1 → "1"'),
    "alike": (Change("text:1", "a b", "a\u00a0b"), 'text:1: "a b" → "a\\u00a0b"'),
    "added": (Change("header:x-a", None, "b", "added"), "header:x-a: new: b"),
    "removed": (Change("json:$.a", {"ü": [None]}, None, "removed"), 'json:$.a: gone: {"ü": [null]}'),
}


@pytest.mark.parametrize(("change", "line"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_a_line(change: Change, line: str) -> None:
    assert change_line(change) == line


def test_a_value_is_on_one_line_that_no_terminal_obeys() -> None:
    assert short("a\nb\x1b[2J\x9b") == "a⏎b\\x1b[2J\\x9b"
    assert short("x" * (VALUE_WIDTH + 1)) == "x" * VALUE_WIDTH + "…"
    assert short("x" * VALUE_WIDTH) == "x" * VALUE_WIDTH


def test_what_changed_comes_first_and_then_how_to_let_it_pass() -> None:
    same, changed = an_outcome(0, "{}", "{}"), an_outcome(1, '{"n": 1}', '{"n": 2}', url="/{}?" + "x" * 90)
    failed = Outcome(2, same.request, 200, 0, 0, 0, error="refused \x1b[2J")
    assert printed(a_report(same, changed, failed)) == [
        f"   2  GET /1?{'x' * 90}",
        "      json:$.n  1 → 2",
        "   3  GET /0?a=<b>|c",
        "      refused \\x1b[2J",
        "3 requests in 1.0 s: 1 the same, 1 changed, 1 failed",
        "to let it pass: --match 'json:$.n=number±1'",
    ]


def test_what_is_said_to_let_it_pass_does() -> None:
    changed = an_outcome(1, '{"n": 1}', '{"n": 2}')
    suggestion = shlex.split(printed(a_report(changed))[-1])[-1]
    assert NoiseRules([match_rule(suggestion)]).split(changed.request, changed.changes) == ([], list(changed.changes))


def test_a_long_report_is_cut() -> None:
    many = str({f"n{number}": 1 for number in range(SHOWN_CHANGES + 3)}).replace("'", '"')
    lines = printed(a_report(*(an_outcome(number, "{}", many) for number in range(SHOWN_ENTRIES + 2))))
    assert lines.count("      … 3 more changes") == SHOWN_ENTRIES
    assert "… and 2 more" in lines


def test_the_sum_of_nothing_and_of_noise() -> None:
    assert summary_line(a_report()) == "0 requests in 1.0 s: nothing to send"
    noisy = an_outcome(0, '{"at": 1760000000}', '{"at": 1760000009}')
    assert summary_line(a_report(noisy)) == "1 request in 1.0 s: 1 the same (1 difference taken for noise)"


def test_secrets_that_were_not_compared_are_said() -> None:
    report = a_report(replace(an_outcome(0, "{}", "{}"), secrets=1))
    assert secrets_line(report).startswith("1 secret value was not compared: only ")
    assert printed(report)[1:] == [secrets_line(report)]


LISTS = {
    "by a key": (
        '[{"id": 1, "n": "a"}, {"id": 2, "n": "b"}]',
        '[{"id": 2, "n": "b"}, {"id": 1, "n": "a"}]',
        "[key=id]",
    ),
    "as a set": ('["a", "b"]', '["b", "a"]', ""),
}


@pytest.mark.parametrize(("old", "new", "key"), LISTS.values(), ids=LISTS)
def test_a_list_in_another_order_gets_the_rule_for_it(old: str, new: str, key: str) -> None:
    outcome = an_outcome(0, old, new, url="/tags?{}")
    rule = f"GET /tags unordered:${key}"
    assert printed(a_report(outcome))[-1] == f"to let it pass, in the rules beside the capture: {rule}"
    assert not any("--match" in line for line in printed(a_report(outcome)))
    assert again(outcome, rule).verdict == "same"


def test_what_changed_beside_the_order_has_its_matcher() -> None:
    outcome = an_outcome(0, '{"tags": ["a", "b"], "n": 1}', '{"tags": ["b", "a"], "n": 3}', url="/tags?{}")
    assert printed(a_report(outcome))[-2:] == [
        "to let it pass, in the rules beside the capture: GET /tags unordered:$.tags",
        "to let it pass: --match 'json:$.n=number±2'",
    ]
    with_rule = again(outcome, "GET /* unordered:$.tags")
    assert printed(a_report(with_rule))[-1:] == ["to let it pass: --match 'json:$.n=number±2'"]
    assert not with_rule.reordered


def again(outcome: Outcome, rule: str) -> Outcome:
    assert outcome.old
    assert outcome.new
    rules = CompareOptions(NoiseRules(parse_rules(rule)))
    return evaluate(0, outcome.request, outcome.old, 0.1, SendResult(outcome.new, 0.1), rules)
