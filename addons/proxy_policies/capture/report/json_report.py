"""The report as JSON, for programs; also what the page is made from."""

import json
from collections.abc import Iterator
from typing import Any

from proxy_policies.capture.check.diff import Change, lines_of
from proxy_policies.capture.check.matchers import suggest
from proxy_policies.capture.check.outcome import Outcome, Report
from proxy_policies.capture.check.targets import Target
from proxy_policies.capture.export.curl import curl_command
from proxy_policies.capture.har.body import as_text
from proxy_policies.capture.model import Request, Response, header
from proxy_policies.capture.parsed_body import BodyKind, parse
from proxy_policies.capture.report.side_by_side import rows

REQUEST_LIMIT = 20_000  # characters of a request in a page; there may be 2 000 of them
BODY_LIMIT = 200_000  # characters of one body in a report


def report_json(report: Report, bodies: bool = False) -> dict[str, Any]:
    """Return the report; `bodies` adds what changed laid side by side."""
    outcomes = [
        _outcome(outcome, bodies) | (_asked(outcome.request, report.new) if bodies else {})
        for outcome in report.outcomes
    ]
    return _about(report) | {"outcomes": outcomes}


def json_pieces(report: Report) -> Iterator[str]:
    """Yield the report as JSON, an outcome at a time: there may be more of them than memory holds."""
    before, after = _dumped(_about(report) | {"outcomes": []}).rsplit("]", 1)
    yield before
    sign = ""
    for outcome in report.outcomes:
        text = _dumped(_outcome(outcome, bodies=False)).replace("\n", "\n  ")  # a text in JSON has none of its own
        yield f"{sign}\n  {text}"
        sign = ","
    yield f"\n ]{after}" if sign else f"]{after}"


def _dumped(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def _about(report: Report) -> dict[str, Any]:
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


def _asked(request: Request, target: str) -> dict[str, Any]:
    """Return the request to look at, and as a command that sends it to the target, if there is one target."""
    head = [
        f"{request.method} {request.url} {request.version}",
        *(f"{name}: {value}" for name, value in request.headers),
    ]
    body = body_lines(Response(0, headers=request.headers, body=request.body)) if request.body.content else []
    live = Target(request.origin, target).to_live(request) if "://" in target and "," not in target else request
    command = curl_command(live)
    return {
        "request": "\n".join([*head, "", *body])[:REQUEST_LIMIT],
        "curl": command if len(command) <= REQUEST_LIMIT else "",
    }


def _change(change: Change, outcome: Outcome) -> dict[str, Any]:
    found = {"location": change.location, "kind": change.kind, "old": change.old, "new": change.new}
    match = "" if outcome.is_reordered(change) else suggest(change)
    return {**found, "match": match} if match else found


def _head(response: Response) -> list[str]:
    """Return the status and the fields as lines, sorted: their order means nothing (RFC 9110 section 5.3)."""
    fields = sorted(f"{name.lower()}: {value}" for name, value in response.headers)
    return [f"{response.status} {response.reason}", *fields]


def body_lines(response: Response) -> list[str]:
    """Return the body as lines to look at: JSON laid out, HTML broken between tags, octets summed up."""
    parsed = parse(response.body, response.headers)
    if parsed.is_document:
        text = json.dumps(parsed.value, indent=2, ensure_ascii=False, sort_keys=True)
    else:
        mime = header(response.headers, "content-type") or ""
        found = None if parsed.kind is BodyKind.BYTES else as_text(response.body.content, mime)
        text = f"{parsed.size} octets, sha256 {parsed.sha256}" if found is None else found
    return lines_of(text[:BODY_LIMIT], parsed.kind is BodyKind.HTML)
