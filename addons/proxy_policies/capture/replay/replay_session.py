"""A capture being replayed, and the responses made of its entries."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mitmproxy import http
from wsproto.utilities import generate_accept_token

from proxy_policies.capture.bodies.content_coding import from_wire
from proxy_policies.capture.formats import mitmproxy_flows
from proxy_policies.capture.formats.any_format import open_source
from proxy_policies.capture.har.entry_index import EntryIndex
from proxy_policies.capture.har.reader import CaptureFile
from proxy_policies.capture.model import Entries, Entry, Request, Response, header, without
from proxy_policies.capture.replay import dates, matching
from proxy_policies.capture.replay.call_index import CallIndex
from proxy_policies.capture.replay.cassette import Cassette, ReplayMode
from proxy_policies.capture.replay.stand_ins import with_numbers
from proxy_policies.capture.secrets.redact import Redactor
from proxy_policies.capture.websocket.transcript import has_dropped_message, is_conversation
from proxy_policies.log_lines import quantity


def parse_replay_ignore(specs: Iterable[str]) -> matching.Matching:
    """Return the matching of `replay_ignore`: parts to ignore, and `match:NAME` for a field that must be equal."""
    specs = list(specs)
    headers = [spec.removeprefix("match:") for spec in specs if spec.startswith("match:")]
    return matching.parse_matching([spec for spec in specs if not spec.startswith("match:")], headers)


@dataclass(frozen=True, slots=True)
class ReplaySession:
    """An open capture being replayed."""

    cassette: Cassette
    entries: Entries
    redactor: Redactor
    calls: CallIndex
    problems: Sequence[str] = ()
    """Errors in entries of the file, which were skipped or repaired."""

    def entry(self, number: int) -> Entry:
        """Return an entry to answer with: secret numbers are numbers, which clients may send back."""
        return with_numbers(self.entries[number], self.redactor.stand_ins)


def load(
    path: Path, mode: ReplayMode, redactor: Redactor, match_rules: matching.Matching, exact: bool = False
) -> ReplaySession:
    """Open a capture for replay. Raise OSError and CaptureError."""
    if mode is ReplayMode.NEW and not path.exists():
        return ReplaySession(Cassette(mode), (), redactor, CallIndex((), redactor, match_rules))
    capture = open_source(path)
    any_secret = capture.key_id != redactor.key_id
    cassette, entries = Cassette(mode, any_secret, exact), EntryIndex(capture)
    calls = CallIndex(entries, redactor, match_rules, exact, any_secret)
    for number, request in enumerate(_redacted(capture, entries, redactor)):
        cassette.add(matching.request_key(request, match_rules))
        calls.add(number, request)
    return ReplaySession(cassette, entries, redactor, calls, capture.problems)


def _redacted(capture: CaptureFile, entries: EntryIndex, redactor: Redactor) -> Iterator[Request]:
    """Yield the recorded requests, redacted as live ones will be: a browser's HAR contains secrets."""
    if capture.key_id:
        yield from map(redactor.request_swept, entries.requests())
    else:
        yield from (redactor.entry(entry).request for entry in capture)


def with_body(head: Request, flow: http.HTTPFlow) -> Request:
    """Return a request with the flow's body, which was received after its head."""
    body = from_wire(flow.request.raw_content or b"", head.headers)
    return Request(head.method, head.url, head.headers, body, head.version, (), head.target)


def cannot_replay(entry: Entry) -> str:
    """Return why an entry cannot be replayed; empty if it can."""
    if entry.response.status < 200 and not is_conversation(entry.response):
        return "no response was recorded" + (f" ({entry.error})" if entry.error else "")
    if entry.response.status > 999:
        return f"{entry.response.status} is no status"
    if entry.response.body.dropped:
        return f"not all of its body was recorded (without {quantity(entry.response.body.dropped, 'byte')})"
    return "not all of its messages were recorded" if has_dropped_message(entry) else ""


def accept_token(key: str) -> str:
    """Return the Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 section 4.2.2)."""
    return str(generate_accept_token(key.encode("ascii", "replace")).decode("ascii"))


def needs_websocket(entry: Entry, request: http.Request) -> str:
    """Return an error if the entry is a WebSocket connection and the request is not; else an empty text."""
    if not is_conversation(entry.response) or request.headers.get("sec-websocket-key"):
        return ""
    return "it is a WebSocket connection, and the request does not ask for one"


def to_live(recorded: Response, shift: float) -> http.Response:
    """Return a recorded response to send now: dates moved by `shift` seconds, Content-Length that of the body."""
    headers = dates.shift(recorded.headers, shift) if shift else recorded.headers
    response = mitmproxy_flows.to_response(
        Response(recorded.status, recorded.reason, headers, recorded.body, "HTTP/1.1", recorded.trailers)
    )
    body = response.raw_content or b""
    if header(headers, "transfer-encoding") is None and header(headers, "content-length") is not None and body:
        response.headers["content-length"] = str(len(body))
    if header(headers, "transfer-encoding") is not None:
        response.headers = mitmproxy_flows.from_headers((*without(headers, "content-length"),))
    return response
