"""The replay policy: answers every request from a capture, and lets no connection leave."""

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from mitmproxy import ctx, http
from mitmproxy.flow import Flow
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from wsproto.utilities import generate_accept_token

from proxy_policies import exchange, settings, trace
from proxy_policies.capture import dates, flows, matching
from proxy_policies.capture.bodies import body_of
from proxy_policies.capture.conversation import Conversation
from proxy_policies.capture.keyfile import load_key
from proxy_policies.capture.model import Body, Entry, Request, Response, header, without
from proxy_policies.capture.options import REDACT
from proxy_policies.capture.places import CaptureError
from proxy_policies.capture.reader import open_capture
from proxy_policies.capture.redact import Redactor
from proxy_policies.capture.secrets import Placeholders
from proxy_policies.capture.shelf import Shelf
from proxy_policies.capture.tape import Mode, Tape
from proxy_policies.capture.transcript import is_conversation
from proxy_policies.fields import Fields
from proxy_policies.patches import played_websocket
from proxy_policies.settings import Setting

logger = logging.getLogger(__name__)

MISS_STATUS = 599  # no server sends it: what the client shows is surely ours


def parse_matching(specs: Any) -> matching.Matching:
    """Read `replay_ignore`: what to ignore, and `match:NAME` for a field that must be equal."""
    headers = [spec.removeprefix("match:") for spec in specs if spec.startswith("match:")]
    return matching.parse_matching([spec for spec in specs if not spec.startswith("match:")], headers)


class Entries(Protocol):
    """Entries by number."""

    def __getitem__(self, number: int, /) -> Entry: ...


@dataclass(frozen=True, slots=True)
class Playing:
    """An open capture being played."""

    tape: Tape
    entries: Entries
    redactor: Redactor


class Replay:
    """Plays `replay_file`."""

    name = "replay"

    replay_file = Setting("", settings.as_text, "Answer every request from this capture; no connection leaves.")
    replay_mode = Setting("once", settings.one_of(*Mode), "How recordings are used up: once, loop, new or strict.")
    replay_ignore = Setting(
        (),
        parse_matching,
        "What does not count: query:NAME, form:NAME, json:JSONPATH, body, host; match:NAME makes a field count.",
    )
    replay_dates = Setting("shift", settings.one_of("shift", "keep"), "Move the dates in recorded answers to now.")
    replay_report = Setting("", settings.as_text, "Write what was played, missed and left over into this JSON file.")
    capture_redact = REDACT

    def __init__(self) -> None:
        self._playing: Playing | None = None
        self._misses: list[dict[str, Any]] = []
        self._report = ""  # of what is being played now: the option may already name the next one's
        self._heads: WeakKeyDictionary[Flow, Request] = WeakKeyDictionary()

    @property
    def _is_airtight(self) -> bool:
        return self._playing is not None and self._playing.tape.mode is not Mode.NEW

    def configure(self, updated: set[str]) -> None:
        """Open another capture when the options change."""
        if updated & {"replay_file", "replay_mode", "replay_ignore", "replay_report", "capture_redact"}:
            self._end()
            if self.replay_file:
                self._open(Path(self.replay_file).expanduser())

    def _open(self, path: Path) -> None:
        try:
            key = load_key(Path(ctx.options.confdir).expanduser())
            redactor = Redactor(self.capture_redact, Placeholders(key))
            self._playing = self._load(path, redactor)
        except CaptureError as error:
            settings.refuse(f"option replay_file: {error}")
        except OSError as error:
            settings.refuse(f"option replay_file: {path}: {error.strerror or error}")

    def _load(self, path: Path, redactor: Redactor) -> "Playing":
        mode = Mode(self.replay_mode)
        if mode is Mode.NEW and not path.exists():
            return Playing(Tape(mode), (), redactor)
        capture = open_capture(path)
        tape = Tape(mode, any_secret=capture.key_id != redactor.key_id)
        tape.extend(matching.parts_of(entry.request, self.replay_ignore) for entry in capture)
        return Playing(tape, Shelf(capture), redactor)

    def running(self) -> None:
        """Dial nobody before the request is known: neither for the tunnel nor for the certificate."""
        if self._is_airtight:
            ctx.options.update(connection_strategy="lazy", upstream_cert=False)

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Refuse every connection, before the name is even looked up."""
        if self._is_airtight:
            data.server.error = "a replay leaves no connection out"

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Note the request as the client sent it, and have its body whole: a streamed one cannot be answered."""
        if self._playing is None:
            return
        known = exchange.of(flow)
        known.whole = True
        flow.request.stream = False
        received = known.received.raw if known.received else flow.request.headers.fields
        self._heads[flow] = flows.request_of(flow.request, flows.to_headers(received), Body())

    def request(self, flow: http.HTTPFlow) -> None:
        """Answer, always."""
        head = self._heads.pop(flow, None)
        if self._playing is None or head is None or flow.response or flow.error:
            return
        request = self._playing.redactor.request_swept(_with_body(head, flow))
        parts = matching.parts_of(request, self.replay_ignore)
        found = self._playing.tape.play(parts)
        if isinstance(found, int):
            self._answer(flow, self._playing.entries[found], found + 1)
        elif self._is_airtight:
            self._refuse(flow, f"{parts.method} {parts.origin}{parts.path}", found.explain())

    def _answer(self, flow: http.HTTPFlow, entry: Entry, number: int) -> None:
        problem = _unplayable(entry) or _unasked(entry, flow.request)
        if problem:
            self._refuse(flow, entry.request.url, f"entry {number}: {problem}")
            return
        shift = time.time() - entry.times.request_start if self.replay_dates == "shift" else 0
        recorded = entry.origin or entry.response
        flow.response = to_answer(recorded, shift)
        if is_conversation(recorded):
            self._converse(flow, entry, number)
        known = exchange.of(flow)
        known.replayed = True
        if entry.facts.get("answered_by") != "policy":
            fields = Fields(flow.response.headers.fields)
            known.origin = exchange.OriginHead(recorded.status, recorded.reason, fields, flow.response.http_version)
        trace.note(flow, self.name, "played", entry=number)

    def _converse(self, flow: http.HTTPFlow, entry: Entry, number: int) -> None:
        """Shake hands anew, and play the server of the WebSocket connection that follows."""
        if self._playing is None or flow.response is None:
            return
        for name in ("sec-websocket-extensions", "sec-websocket-accept"):  # we compress nothing; the key is another
            flow.response.headers.pop(name, None)
        flow.response.headers["Sec-WebSocket-Accept"] = accept_token(flow.request.headers["sec-websocket-key"])
        url, misses = entry.request.url, self._misses

        def missed(why: str) -> None:
            misses.append({"url": url, "why": f"entry {number}, {why}"})
            logger.warning(f"replay: {url}: entry {number}, {why}")

        any_secret = self._playing.tape.any_secret
        clean = self._playing.redactor.message
        conversation = Conversation(entry, self.replay_ignore, clean, missed, any_secret)
        played_websocket.play(flow, conversation)

    def _refuse(self, flow: http.HTTPFlow, asked: str, why: str) -> None:
        self._misses.append({"url": asked, "why": why})
        logger.warning(f"replay: {asked}: {why}")
        trace.note(flow, self.name, "missed", why)
        exchange.of(flow).replayed = True
        fields = {"content-type": "text/plain; charset=utf-8", "x-replay": "missed"}
        flow.response = http.Response.make(MISS_STATUS, f"replay: {asked}: {why}\n", fields)
        flow.response.reason = "Not Recorded"

    def error(self, flow: http.HTTPFlow) -> None:
        """Count a request that was refused before it came to us: a tunnel that nobody inspects."""
        if self._is_airtight and flow.response is None and flow.error:
            self._misses.append({"url": flow.request.pretty_url, "why": flow.error.msg})

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Count a tunnel that was refused."""
        if self._is_airtight:
            self._misses.append({"url": flow.request.pretty_host, "why": "not inspected, so not answered"})

    def done(self) -> None:
        """Report."""
        self._end()

    def _end(self) -> None:
        """End what was being played, and report on it."""
        playing, self._playing = self._playing, None
        misses, self._misses = self._misses, []
        report, self._report = self._report, self.replay_report
        if playing is None or not report:
            return
        requests = ((number + 1, playing.entries[number].request) for number in playing.tape.unused())
        unused = [f"entry {number}: {request.method} {request.url}" for number, request in requests]
        outcome = {"played": len(playing.tape.used), "misses": misses, "unused": unused}
        Path(report).write_text(json.dumps(outcome, indent=1))


def _with_body(head: Request, flow: http.HTTPFlow) -> Request:
    body = body_of(flow.request.raw_content or b"", head.headers)
    return Request(head.method, head.url, head.headers, body, head.version, (), head.target)


def _unplayable(entry: Entry) -> str:
    """Say why an entry has no answer to give; empty when it has."""
    if entry.response.status < 200 and not is_conversation(entry.response):
        return "no answer was recorded" + (f" ({entry.error})" if entry.error else "")
    if entry.response.body.lost:
        return f"its body was too large to record ({entry.response.body.lost} octets are missing)"
    return ""


def accept_token(key: str) -> str:
    """Return the answer to a client's Sec-WebSocket-Key."""
    return str(generate_accept_token(key.encode("ascii", "replace")).decode("ascii"))


def _unasked(entry: Entry, request: http.Request) -> str:
    if not is_conversation(entry.response) or request.headers.get("sec-websocket-key"):
        return ""
    return "it is a WebSocket connection, and the request does not ask for one"


def to_answer(recorded: Response, shift: float) -> http.Response:
    """Return a recorded response to send now: its dates moved, its length that of the body we have."""
    headers = dates.shift(recorded.headers, shift) if shift else recorded.headers
    made = flows.to_response(
        Response(recorded.status, recorded.reason, headers, recorded.body, "HTTP/1.1", recorded.trailers)
    )
    body = made.raw_content or b""
    if header(headers, "transfer-encoding") is None and header(headers, "content-length") is not None and body:
        made.headers["content-length"] = str(len(body))
    if header(headers, "transfer-encoding") is not None:
        made.headers = flows.from_headers((*without(headers, "content-length"),))
    return made
