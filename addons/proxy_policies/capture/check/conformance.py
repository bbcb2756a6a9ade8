"""Outcomes of responses that violate an OpenAPI document: each violation is a change from expected to found."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from proxy_policies.capture.check.change import Change
from proxy_policies.capture.check.outcome import Outcome
from proxy_policies.capture.check.results import SendResults
from proxy_policies.capture.model import Entry, Request, Response
from proxy_policies.capture.openapi.document import undescribed_reason
from proxy_policies.capture.openapi.response_checker import ResponseChecker


def violations(checker: ResponseChecker, request: Request, response: Response) -> tuple[Change, ...]:
    """Return the violations of a response. Raise CaptureError if the document is invalid."""
    return tuple(Change(found.location, found.expected, found.found) for found in checker.problems(request, response))


def recorded_outcomes(entries: Iterable[Entry], checker: ResponseChecker) -> Iterator[Outcome]:
    """Yield an outcome for each entry: its recorded response checked against the document."""
    for number, entry in enumerate(entries):
        request, response, seconds = entry.request, entry.response, entry.times.seconds
        skipped = undescribed_reason(request, response)
        changes = () if skipped else violations(checker, request, response)
        shown = response if changes else None
        status = response.status
        yield Outcome(
            *(number, request, status, status, seconds, seconds),
            changes=changes,
            skipped=skipped,
            old=shown,
            new=shown,
        )


def with_conformance(outcomes: Iterable[Outcome], results: SendResults, checker: ResponseChecker) -> Iterator[Outcome]:
    """Yield the outcomes of a run, with the violations of the live responses added."""
    for outcome in outcomes:
        new = results[outcome.number].response
        if new is None or undescribed_reason(outcome.request, new):
            yield outcome
            continue
        changes = violations(checker, outcome.request, new)
        yield replace(outcome, changes=(*outcome.changes, *changes)) if changes else outcome
