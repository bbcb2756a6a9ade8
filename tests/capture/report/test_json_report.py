"""The report for programs, and what the page is made from."""

import json
from dataclasses import replace

import pytest
from tests.support.capture_reports import JSON, a_report, an_outcome

from proxy_policies.capture.check.outcome import Outcome
from proxy_policies.capture.model import Body, Request, Response
from proxy_policies.capture.report.json_report import (
    MAX_BODY_TEXT,
    MAX_REQUEST_TEXT,
    body_lines,
    json_pieces,
    report_json,
)

CHANGED = an_outcome(1, '{"n": 1, "a": "x"}', '{"n": 2, "a": "x"}', url="/{}?page=2")


def test_it_says_what_came_of_each_entry() -> None:
    refused = Outcome(4, CHANGED.request, 200, 0, 0.5, 0, error="refused")
    found = json.loads(json.dumps(report_json(a_report(CHANGED, refused))))
    assert (found["exit_code"], found["counts"]) == (1, {"same": 0, "changed": 1, "error": 1, "skipped": 0})
    first, second = found["outcomes"]
    assert first == {
        **{"entry": 2, "title": "GET /1?page=2", "method": "GET", "url": "http://shop.test/1?page=2"},
        **{"verdict": "changed", "status": [200, 200], "ms": [100.0, 100.0], "ignored": []},
        "changes": [{"location": "json:$.n", "kind": "changed", "old": 1, "new": 2, "match": "json:$.n=number±1"}],
    }
    assert (second["verdict"], second["why"], second["ms"]) == ("error", "refused", [500.0, 0])


@pytest.mark.parametrize("count", [0, 1, 3])
def test_in_pieces_it_is_the_same(count: int) -> None:
    report = a_report(*[an_outcome(number, '{"a": "[]\\n"}', '{"a": "é"}') for number in range(count)])
    assert "".join(json_pieces(report)) == json.dumps(report_json(report), indent=1, ensure_ascii=False)


def test_a_page_has_both_answers_side_by_side_and_the_request_to_send() -> None:
    request = Request("POST", "http://shop.test/1", JSON, Body(b'{"b": 1, "a": 2}'))
    (found,) = report_json(a_report(replace(CHANGED, request=request)), bodies=True)["outcomes"]
    assert found["body"] == [
        *[("=", "{", "{"), ("=", '  "a": "x",', '  "a": "x",'), ("!", '  "n": 1', '  "n": 2'), ("=", "}", "}")]
    ]
    assert found["head"][0] == ("=", "200 ", "200 ")
    assert found["request"].splitlines()[0] == "POST http://shop.test/1 HTTP/1.1"
    assert found["request"].endswith('{\n  "a": 2,\n  "b": 1\n}')
    assert "http://127.0.0.1:9000/1" in found["curl"]


def test_what_a_page_cannot_hold_is_cut() -> None:
    request = Request("POST", "http://shop.test/1", JSON, Body(b'"%s"' % (b"x" * MAX_REQUEST_TEXT)))
    (found,) = report_json(a_report(replace(CHANGED, request=request)), bodies=True)["outcomes"]
    assert len(found["request"]) == MAX_REQUEST_TEXT
    assert found["curl"] == ""
    assert len(body_lines(Response(200, "", (), Body(b"x" * (MAX_BODY_TEXT + 1))))[0]) == MAX_BODY_TEXT


def test_bytes_are_summed_up() -> None:
    (line,) = body_lines(Response(200, "", (("Content-Type", "image/png"),), Body(b"\xff\x00")))
    assert line.startswith("2 bytes, sha256 ")


def test_for_a_list_in_another_order_it_has_the_rule_and_no_matchers() -> None:
    outcome = an_outcome(0, '{"a": [{"id": 1}, {"id": 2}], "n": 1}', '{"a": [{"id": 2}, {"id": 1}], "n": 2}')
    (found,) = report_json(a_report(outcome))["outcomes"]
    assert found["rules"] == ["GET /0 unordered:$.a[key=id]"]
    assert {change["location"]: change.get("match") for change in found["changes"]} == {
        **{"json:$.a[0].id": None, "json:$.a[1].id": None, "json:$.n": "json:$.n=number±1"}
    }
