"""Outcomes say what of the answers does not fit an OpenAPI document."""

from proxy_policies.capture.check.conformance import recorded_outcomes, with_conformance
from proxy_policies.capture.check.outcome import Outcome
from proxy_policies.capture.check.results import SendResult
from proxy_policies.capture.model import Entry, Request, Response, Times
from proxy_policies.capture.openapi.references import Document
from proxy_policies.capture.openapi.response_checker import checker_of

CHECKER = checker_of(
    Document("a.json", {"openapi": "3.1.0", "paths": {"/a": {"get": {"responses": {"204": {"description": ""}}}}}})
)
REQUEST = Request("GET", "http://a.test/a")
PREFLIGHT = (("Access-Control-Request-Method", "GET"),)


def test_recorded_answers_are_held_to_it() -> None:
    websocket = Response(101, "", (("Upgrade", "websocket"),))
    responses = [Response(204), Response(200), Response(0), websocket]
    requests = [Request("PROPFIND", REQUEST.url), Request("OPTIONS", REQUEST.url, PREFLIGHT)]
    exchanges = [*((REQUEST, one) for one in responses), *((one, Response(204)) for one in requests)]
    found = list(recorded_outcomes([Entry(*exchange, Times(1.0)) for exchange in exchanges], CHECKER))
    assert [outcome.verdict for outcome in found] == ["same", "changed", *["skipped"] * 4]
    assert [(change.location, change.old, change.new) for change in found[1].changes] == [
        ("openapi:status", "204", 200)
    ]


def test_answers_that_came_are_held_to_it() -> None:
    outcomes = [Outcome(number, REQUEST, 200, 200, 0, 0) for number in range(3)]
    results = {0: SendResult(Response(204)), 1: SendResult(Response(200)), 2: SendResult(error="refused")}
    found = list(with_conformance(outcomes, results, CHECKER))
    assert [outcome.verdict for outcome in found] == ["same", "changed", "same"]
    assert found[0] is outcomes[0]
