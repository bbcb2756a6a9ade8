"""The replay policy: answers every request from a capture, and blocks connections to servers."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from weakref import WeakKeyDictionary, WeakSet

from mitmproxy import ctx, http
from mitmproxy.flow import Flow
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_policies import settings, trace
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.options import REDACT
from proxy_policies.capture.replay.replay_report import ReplayReport, log_miss
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.fields import Fields
from proxy_policies.flows import flow_state
from proxy_policies.hook_conditions import only_if
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.options.files import expand_home, parse_path, parse_path_to_write
from proxy_policies.options.updates import override
from proxy_policies.patches.http_stream import websockets
from proxy_policies.settings import Setting
from proxy_policies.streaming.decision import must_buffer

with lazy_imports():
    from proxy_policies.capture import model
    from proxy_policies.capture.files import private_files
    from proxy_policies.capture.formats import mitmproxy_flows
    from proxy_policies.capture.replay import (
        cassette,
        interleaved,
        matching,
        replay_session,
        stream_source,
        websocket_replay,
    )
    from proxy_policies.capture.secrets import keyfile, placeholders, redact
    from proxy_policies.capture.websocket import transcript

logger = logging.getLogger(__name__)

MAX_SPEED = 1_000_000.0
MODES = settings.one_of("once", "loop", "new", "strict")
"""The values of `cassette.ReplayMode`, which is not imported for start-up speed."""
MISS_STATUS = 599  # no server sends it, so clients can recognise it


def parse_speed(text: str) -> float:
    """Return `replay_speed` parsed. Raise ValueError."""
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0 <= speed <= MAX_SPEED:
        raise ValueError(f"write 0 for at once, 1 for as recorded, or how many times as fast, up to {MAX_SPEED:.0f}")
    return speed


class Replay:
    """Answers requests from `replay_file`."""

    name = "replay"
    fast_paths = {**NO_OBJECTION, "hits": ("replay_file",)}

    replay_file = Setting(
        "",
        parse_path,
        "Answer every request from this capture, without connecting to any server.",
        single_process="each would play every recording; replay without --workers",
    )
    replay_mode = Setting("once", MODES, "How recordings are used: once, loop, new (record what is missing) or strict.")
    replay_ignore = Setting(
        (),
        lambda specs: replay_session.parse_replay_ignore(specs),
        "Parts to ignore: query:NAME, form:NAME, json:JSONPATH, body, host; match:NAME compares a header field.",
    )
    replay_exact = Setting(
        "off", settings.parse_switch, "Require ids, times and random values in requests to be exactly as recorded."
    )
    replay_dates = Setting(
        "shift", settings.one_of("shift", "keep"), "Shift the dates in recorded responses to the present."
    )
    replay_speed = Setting(
        "0",
        parse_speed,
        "Speed of streamed frames and WebSocket messages: 1 as recorded, 2 twice as fast, 0 without pauses.",
    )
    replay_report = Setting("", parse_path_to_write, "Write what was replayed, missed and not used to this JSON file.")
    capture_redact = REDACT

    def __init__(self) -> None:
        self._session: replay_session.ReplaySession | None = None
        self._report = ReplayReport()
        self._report_path: Path | None = None  # of the open session: the option may already name the next one
        self._heads: WeakKeyDictionary[Flow, model.Request] = WeakKeyDictionary()
        self._unmatched: WeakSet[Flow] = WeakSet()
        """Flows whose requests have no recording, and are counted."""
        self._restore_connection_options: Callable[[], None] | None = None
        self._stopped = asyncio.Event()

    @property
    def _is_offline(self) -> bool:
        return self._session is not None and self._session.cassette.mode is not cassette.ReplayMode.NEW

    def configure(self, updated: set[str]) -> None:
        """Open the capture, and open it again when an option changes."""
        if updated & {"replay_file", "replay_mode", "replay_ignore", "replay_exact", "replay_report", "capture_redact"}:
            self._end_session()
            if self.replay_file:
                self._open(self.replay_file)
            self._set_connection_options()

    def _set_connection_options(self) -> None:
        """While offline, keep mitmproxy from connecting before the request: for a tunnel, or for its certificate."""
        if self._is_offline and self._restore_connection_options is None:
            self._restore_connection_options = override(connection_strategy="lazy", upstream_cert=False)
        elif not self._is_offline and self._restore_connection_options is not None:
            self._restore_connection_options()
            self._restore_connection_options = None

    def _open(self, path: Path) -> None:
        try:
            key = keyfile.load_key(expand_home(ctx.options.confdir))
            redactor = redact.Redactor(self.capture_redact, placeholders.Placeholders(key))
            self._session = replay_session.load(
                path, cassette.ReplayMode(self.replay_mode), redactor, self.replay_ignore, self.replay_exact
            )
        except CaptureError as error:
            settings.reject(f"option replay_file: {error}")
        except OSError as error:
            settings.reject(f"option replay_file: {path}: {error.strerror or error}")

    @only_if("_session")
    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Block every connection, before its name is resolved."""
        if self._is_offline:
            data.server.error = "connections are blocked during replay"

    @only_if("_session")
    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Keep the request's head as the client sent it, and have its body buffered: requests are matched as a whole.

        A gRPC call whose client may wait for a response first is answered at once.
        """
        if self._session is None:
            return None
        state = flow_state.state_of(flow)
        state.needs_full_body = True
        flow.request.stream = False
        received = state.received.raw if state.received else flow.request.headers.fields
        head = mitmproxy_flows.request_of(flow.request, mitmproxy_flows.to_headers(received), model.Body())
        self._heads[flow] = head
        if not self._session.calls.may_contain(head):
            return None
        clean = self._session.redactor.request_swept(head)
        return self._answer_call(flow, clean) if self._session.calls.contains(clean) else None

    async def _answer_call(self, flow: http.HTTPFlow, head: model.Request) -> None:
        """Answer an interleaved gRPC call, once its client has sent as much as it had before the recorded head."""
        session, state = self._session, flow_state.state_of(flow)
        if session is None or must_buffer("response"):
            return
        state.early_request = client = interleaved.ClientSteps()
        numbers = session.calls.numbers(head)
        call = session.calls.call(head, session.cassette.available(numbers))
        requested = f"{head.method} {head.url}"
        if not call.candidates:
            if self._is_offline:
                self._refuse(flow, requested, cassette.NoMatch(len(numbers)).explain())
            return
        source = interleaved.InterleavedSource(
            *(call, client, self._stopped, self.replay_speed),
            on_end=lambda first, reason: self._on_call_end(flow, requested, call, first, reason),
        )
        try:
            number = await source.start()
        except interleaved.NotRecorded as error:
            if self._is_offline:
                self._refuse(flow, requested, str(error))
        except OSError as error:
            logger.debug(f"replay: {requested}: {error}")
        else:
            session.cassette.use(number)
            self._answer(flow, session.entry(number), number + 1, source)

    def _on_call_end(
        self, flow: http.HTTPFlow, requested: str, call: interleaved.InterleavedCall, first: int, reason: str
    ) -> None:
        """Set trailers, and mark the recording that matched the whole call as used; with a `reason`, count a miss."""
        session = self._session
        if session is None or flow.response is None:
            return
        if reason:
            self._report.add_and_log_miss(requested, reason)
            return
        session.cassette.release(first)
        session.cassette.use(call.number)
        flow.response.trailers = mitmproxy_flows.from_headers(session.entries[call.number].response.trailers)
        if call.differences:
            self._report.add_inexact(requested, call.number, call.differences)

    @only_if("_session")
    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Answer the request: from a recording, or offline with status 599."""
        head = self._heads.pop(flow, None)
        if self._session is None or head is None or flow.response or flow.error:
            return None
        request = self._session.redactor.request_swept(replay_session.with_body(head, flow))
        key = matching.request_key(request, self.replay_ignore)
        found = self._session.cassette.match(key)
        if isinstance(found, cassette.Match):
            if found.differences:
                self._report.add_inexact(request.url, found.number, found.differences)
            self._answer(flow, self._session.entry(found.number), found.number + 1)
        elif self._is_offline:
            return self._refuse_unmatched(flow, self._session.cassette, key, found)
        return None

    async def _refuse_unmatched(
        self, flow: http.HTTPFlow, recordings: cassette.Cassette, key: matching.RequestKey, unmatched: cassette.NoMatch
    ) -> None:
        requested = f"{key.method} {key.origin}{key.path}"
        miss = self._report.add_miss(requested, "not recorded")  # before the search, during which this session may end
        self._unmatched.add(flow)
        miss["why"] = reason = (await recordings.explain(key, unmatched)).explain()
        log_miss(requested, reason)
        if not flow.error:
            self._send_refusal(flow, requested, reason)

    def _answer(
        self, flow: http.HTTPFlow, entry: model.Entry, number: int, source: flow_state.Source | None = None
    ) -> None:
        problem = replay_session.cannot_replay(entry) or replay_session.needs_websocket(entry, flow.request)
        if problem:
            self._refuse(flow, entry.request.url, f"entry {number}: {problem}")
            return
        started = entry.times.request_start
        shift = time.time() - started if started and self.replay_dates == "shift" else 0
        recorded = entry.origin or entry.response
        flow.response = replay_session.to_live(recorded, shift)
        self._send_from(flow, source or self._scheduled(flow, recorded, entry.times))
        if transcript.is_conversation(recorded):
            self._replay_conversation(flow, entry, number)
        state = flow_state.state_of(flow)
        state.replayed = True
        if entry.connection_info.get("answered_by") != "policy":
            fields = Fields(flow.response.headers.fields)
            state.origin = flow_state.OriginHead(recorded.status, recorded.reason, fields, flow.response.http_version)
        trace.note(flow, self.name, "played", entry=number)

    def _scheduled(
        self, flow: http.HTTPFlow, recorded: model.Response, times: model.Times
    ) -> stream_source.StreamSource | None:
        """Return a source that sends a stream as it was recorded; None for any other response."""
        scheduled = stream_source.schedule(recorded, times, self.replay_speed)
        if scheduled is None or flow.request.method == "HEAD" or must_buffer("response"):
            return None
        state = flow_state.state_of(flow)
        return stream_source.StreamSource(
            scheduled, self._stopped, lambda: flow.client_conn.connected and not state.client_left
        )

    def _send_from(self, flow: http.HTTPFlow, source: flow_state.Source | None) -> None:
        if source is not None and flow.response is not None:
            flow.response.raw_content = b""
            flow.response.headers.pop("content-length", None)
            flow_state.state_of(flow).source = source

    def _replay_conversation(self, flow: http.HTTPFlow, entry: model.Entry, number: int) -> None:
        """Answer the handshake, and replay the server of the WebSocket connection."""
        if self._session is None or flow.response is None:
            return
        for name in ("sec-websocket-extensions", "sec-websocket-accept"):  # not supported; for another key
            flow.response.headers.pop(name, None)
        flow.response.headers["Sec-WebSocket-Accept"] = replay_session.accept_token(
            flow.request.headers["sec-websocket-key"]
        )
        url, report = entry.request.url, self._report

        def on_miss(reason: str) -> None:
            report.add_and_log_miss(url, f"entry {number}, {reason}")

        any_secret = self._session.cassette.any_secret
        redact_message = self._session.redactor.message
        player = websocket_replay.WebSocketReplay(
            *(entry, self.replay_ignore, redact_message, on_miss, any_secret),
            exact=self.replay_exact,
            speed=self.replay_speed,
        )
        websockets.set_responder(flow, player)

    def _refuse(self, flow: http.HTTPFlow, requested: str, reason: str) -> None:
        self._report.add_and_log_miss(requested, reason)
        self._send_refusal(flow, requested, reason)

    def _send_refusal(self, flow: http.HTTPFlow, requested: str, reason: str) -> None:
        trace.note(flow, self.name, "missed", reason)
        flow_state.state_of(flow).replayed = True
        fields = {"content-type": "text/plain; charset=utf-8", "x-replay": "missed"}
        flow.response = http.Response.make(MISS_STATUS, f"replay: {requested}: {reason}\n", fields)
        flow.response.reason = "Not Recorded"

    @only_if("_session")
    def error(self, flow: http.HTTPFlow) -> None:
        """Count a request that was refused before `request`: one in a tunnel that is not inspected."""
        if self._is_offline and flow.response is None and flow.error and flow not in self._unmatched:
            self._report.add_miss(flow.request.pretty_url, flow.error.msg)

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Count a tunnel that was refused."""
        if self._is_offline:
            self._report.add_miss(flow.request.pretty_host, "not inspected, so not answered")

    def done(self) -> None:
        """Write the report."""
        self._end_session()

    def _end_session(self) -> None:
        """End the session, and write its report."""
        self._stopped.set()
        self._stopped = asyncio.Event()
        session, self._session = self._session, None
        report, self._report = self._report, ReplayReport()
        path, self._report_path = self._report_path, self.replay_report
        if session is None or not path:
            return
        is_strict = session.cassette.mode is cassette.ReplayMode.STRICT
        try:
            private_files.write_text(path, json.dumps(report.document(session, is_strict), indent=1))
        except OSError as error:
            logger.error(f"option replay_report: {path}: {error.strerror or error}")
