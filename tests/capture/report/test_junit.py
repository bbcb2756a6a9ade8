"""The report for CI systems."""

from dataclasses import replace
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from tests.support.capture_reports import a_report, an_outcome

from proxy_policies.capture.check.outcome import Outcome
from proxy_policies.capture.model import Request
from proxy_policies.capture.report.junit import MAX_NAMED, junit_pieces

ONE, TWO = an_outcome(1, '{"n": 1}', '{"n": 2}'), an_outcome(2, '{"n": 1}', '{"n": 2}', status=500)


def suite(*outcomes: Outcome) -> ElementTree.Element:
    return ElementTree.fromstring("".join(junit_pieces(a_report(*outcomes))))[0]


def test_it_counts_and_has_a_case_for_each_entry() -> None:
    failed, skipped = Outcome(3, ONE.request, 200, 0, 0, 0, error="refused"), replace(ONE, skipped="cut")
    found = suite(an_outcome(0, "{}", "{}"), ONE, failed, skipped)
    counts = {name: found.get(name) for name in ("tests", "failures", "errors", "skipped", "timestamp")}
    assert counts == {
        **{"tests": "4", "failures": "1", "errors": "1", "skipped": "1", "timestamp": "2025-10-09T08:53:20"}
    }
    assert [[child.tag for child in case] for case in found.iter("testcase")] == [
        *([], ["failure"], ["error"], ["skipped"])
    ]


def test_a_failure_names_what_changed() -> None:
    one, two = (failure.attrib for failure in suite(ONE, TWO).iter("failure"))
    assert one == {"message": "json:$.n: 1 → 2", "type": "json"}
    assert two == {"message": "2 changes: status, json:$.n", "type": "status json"}
    many = an_outcome(1, "{}", str({f"n{number}": number for number in range(MAX_NAMED + 5)}).replace("'", '"'))
    (failure,) = suite(many).iter("failure")
    assert (failure.get("message") or "").endswith("json:$.n9, …")
    assert len((failure.text or "").splitlines()) == MAX_NAMED + 5


@given(st.text())
def test_whatever_was_captured_it_is_xml(text: str) -> None:
    outcome = replace(ONE, request=Request("GET", f"http://a.test/{text}"), error=text)
    assert suite(outcome).get("tests") == "1"


def test_it_is_laid_out_case_by_case() -> None:
    text = "".join(junit_pieces(a_report(an_outcome(0, "{}", "{}"), ONE)))
    indented = ElementTree.fromstring(text)
    ElementTree.indent(indented)
    assert text == f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(indented, encoding="unicode")}\n'
