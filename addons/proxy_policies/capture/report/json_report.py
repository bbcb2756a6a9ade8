"""The report as JSON, for programs and for the HTML page."""

import json
from collections.abc import Iterator
from typing import Any

from proxy_policies.capture.bodies.parsed_body import BodyKind, parse
from proxy_policies.capture.check.change import Change
from proxy_policies.capture.check.matchers import suggest
from proxy_policies.capture.check.outcome import Outcome, Report
from proxy_policies.capture.check.targets import CheckTarget
from proxy_policies.capture.check.text_diff import lines_of
from proxy_policies.capture.export.curl import curl_command
from proxy_policies.capture.har.body import decode_text
from proxy_policies.capture.model import Request, Response, header
from proxy_policies.capture.report.side_by_side import rows
from proxy_policies.log_lines import printable_json, quantity

MAX_REQUEST_TEXT = 20_000  # characters of a request in a page with up to 2 000 requests
MAX_BODY_TEXT = 200_000  # characters of a body in a report


def report_json(report: Report, bodies: bool = False) -> dict[str, Any]:
    """Return the report as a JSON value; with `bodies`, also the requests, and both responses side by side."""
    outcomes = [
        _outcome(outcome, bodies) | (_request_fields(outcome.request, report.new) if bodies else {})
        for outcome in report.outcomes
    ]
    return _summary_fields(report) | {"outcomes": outcomes}


def json_pieces(report: Report) -> Iterator[str]:
    """Yield the report as JSON text, an outcome at a time, as they may exceed the memory."""
    before, after = _dumps(_summary_fields(report) | {"outcomes": []}).rsplit("]", 1)
    yield before
    comma = ""
    for outcome in report.outcomes:
        text = _dumps(_outcome(outcome, bodies=False)).replace("\n", "\n  ")  # line ends inside texts are escaped
        yield f"{comma}\n  {text}"
        comma = ","
    yield f"\n ]{after}" if comma else f"]{after}"


def _dumps(value: Any) -> str:
    return printable_json(json.dumps(value, indent=1, ensure_ascii=False))


def _summary_fields(report: Report) -> dict[str, Any]:
    return {
        "capture": report.capture,
        "old": report.old,
        "new": report.new,
        "started": report.started,
        "seconds": round(report.seconds, 3),
        "counts": report.counts,
        "secrets_not_compared": report.secrets,
        "exit_code": report.exit_code,
        "noise": list(report.noise),
        "links": [str(link) for link in report.links],
    }


def _outcome(outcome: Outcome, bodies: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "entry": outcome.number + 1,
        "title": outcome.title,
        "method": outcome.request.method,
        "url": outcome.request.url,
        "verdict": outcome.verdict,
        "status": [outcome.old_status, outcome.new_status],
        "ms": [round(outcome.old_seconds * 1000, 1), round(outcome.new_seconds * 1000, 1)],
        "changes": [_change(change, outcome) for change in outcome.changes],
        "ignored": [_change(change, outcome) for change in outcome.ignored],
    }
    if outcome.reordered:
        fields["rules"] = [str(rule) for rule in outcome.reordered]
    if outcome.error or outcome.skipped:
        fields["why"] = outcome.error or outcome.skipped
    if bodies and outcome.old and outcome.new:
        fields["head"] = rows(_head(outcome.old), _head(outcome.new))
        fields["body"] = rows(body_lines(outcome.old), body_lines(outcome.new))
    return fields


def _request_fields(request: Request, target: str) -> dict[str, Any]:
    """Return the request as text, and as a command that sends it to the target if there is only one."""
    head = [
        f"{request.method} {request.url} {request.version}",
        *(f"{name}: {value}" for name, value in request.headers),
    ]
    body = body_lines(Response(0, headers=request.headers, body=request.body)) if request.body.content else []
    live = CheckTarget(request.origin, target).to_live(request) if "://" in target and "," not in target else request
    command = curl_command(live)
    return {
        "request": "\n".join([*head, "", *body])[:MAX_REQUEST_TEXT],
        "curl": command if len(command) <= MAX_REQUEST_TEXT else "",
    }


def _change(change: Change, outcome: Outcome) -> dict[str, Any]:
    found = {"location": change.location, "kind": change.kind, "old": change.old, "new": change.new}
    match = "" if outcome.is_reordered(change) else suggest(change)
    return {**found, "match": match} if match else found


def _head(response: Response) -> list[str]:
    """Return status and fields as lines; fields are sorted, as their order is irrelevant (RFC 9110 section 5.3)."""
    fields = sorted(f"{name.lower()}: {value}" for name, value in response.headers)
    return [f"{response.status} {response.reason}", *fields]


def body_lines(response: Response) -> list[str]:
    """Return the body as lines of text: JSON indented, HTML split between tags, binary data as size and hash."""
    parsed = parse(response.body, response.headers)
    if parsed.is_document:
        text = json.dumps(parsed.value, indent=2, ensure_ascii=False, sort_keys=True)
    else:
        mime = header(response.headers, "content-type") or ""
        found = None if parsed.kind is BodyKind.BYTES else decode_text(response.body.content, mime)
        text = f"{quantity(parsed.size, 'byte')}, sha256 {parsed.sha256}" if found is None else found
    return lines_of(text[:MAX_BODY_TEXT], parsed.kind is BodyKind.HTML)
