"""The replay policy: answers every request from a capture, and lets no connection leave."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy import ctx, http
from mitmproxy.flow import Flow
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_policies import flow_state, settings, trace
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.options import REDACT
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.fields import Fields
from proxy_policies.hook_conditions import only_if
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.option_files import expand_home, parse_path, parse_path_to_write
from proxy_policies.patches.http_stream import websockets
from proxy_policies.settings import Setting
from proxy_policies.streaming import must_buffer

with lazy_imports():
    from proxy_policies.capture import mitmproxy_flows, model, private_files
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

FASTEST = 1_000_000.0
MODES = settings.one_of("once", "loop", "new", "strict")
"""Those of `cassette.ReplayMode`, which need not be imported for it."""
MISS_STATUS = 599  # no server sends it: what the client shows is surely ours


def parse_matching(specs: Sequence[str]) -> matching.Matching:
    """Read `replay_ignore`; raises ValueError."""
    return replay_session.parse_replay_ignore(specs)


def parse_speed(text: str) -> float:
    """Read `replay_speed`; raises ValueError."""
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0 <= speed <= FASTEST:
        raise ValueError(f"write 0 for at once, 1 for as recorded, or how many times as fast, up to {FASTEST:.0f}")
    return speed


class Replay:
    """Plays `replay_file`."""

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
        parse_matching,
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
        self._misses: list[dict[str, Any]] = []
        self._alike: list[dict[str, Any]] = []  # answered, though ids, times or random values are others
        self._report: Path | None = None  # of what is being played now: the option may already name the next one's
        self._heads: WeakKeyDictionary[Flow, model.Request] = WeakKeyDictionary()
        self._restore_dialling: Callable[[], None] | None = None
        self._over = asyncio.Event()

    @property
    def _is_offline(self) -> bool:
        return self._session is not None and self._session.cassette.mode is not cassette.ReplayMode.NEW

    def configure(self, updated: set[str]) -> None:
        """Open another capture when the options change."""
        if updated & {"replay_file", "replay_mode", "replay_ignore", "replay_exact", "replay_report", "capture_redact"}:
            self._end()
            if self.replay_file:
                self._open(self.replay_file)
            self._choose_dialling()

    def _choose_dialling(self) -> None:
        """While offline dial nobody before the request is known: neither for a tunnel nor for its certificate."""
        if self._is_offline and self._restore_dialling is None:
            self._restore_dialling = settings.override(connection_strategy="lazy", upstream_cert=False)
        elif not self._is_offline and self._restore_dialling is not None:
            self._restore_dialling()
            self._restore_dialling = None

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

    @only_if("_is_offline")
    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Refuse every connection, before the name is even looked up."""
        if self._is_offline:
            data.server.error = "connections are blocked during replay"

    @only_if("_session")
    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Note the request as the client sent it, and have its body whole: a streamed one cannot be answered.

        But for a gRPC call whose client may wait for an answer first.
        """
        if self._session is None:
            return None
        state = flow_state.state_of(flow)
        state.needs_full_body = True
        flow.request.stream = False
        received = state.received.raw if state.received else flow.request.headers.fields
        head = mitmproxy_flows.request_of(flow.request, mitmproxy_flows.to_headers(received), model.Body())
        self._heads[flow] = head
        if not self._session.calls.may_have(head):
            return None
        clean = self._session.redactor.request_swept(head)
        return self._answer_call(flow, clean) if self._session.calls.has(clean) else None

    async def _answer_call(self, flow: http.HTTPFlow, head: model.Request) -> None:
        """Answer a gRPC call by turns, once its client has said so much that the server spoke."""
        session, state = self._session, flow_state.state_of(flow)
        if session is None or must_buffer("response"):
            return
        state.early_request = client = interleaved.ClientSteps()
        numbers = session.calls.numbers(head)
        turns = session.calls.turns(head, session.cassette.any_of(numbers))
        asked = f"{head.method} {head.url}"
        if not turns.candidates:
            if self._is_offline:
                self._refuse(flow, asked, cassette.Miss(len(numbers)).explain())
            return
        source = interleaved.InterleavedSource(
            *(turns, client, self._over, self.replay_speed),
            ended=lambda begun, why: self._call_ended(flow, asked, turns, begun, why),
        )
        try:
            number = await source.begin()
        except interleaved.NotRecorded as error:
            if self._is_offline:
                self._refuse(flow, asked, str(error))
        except OSError as error:
            logger.debug(f"replay: {asked}: {error}")
        else:
            session.cassette.used.add(number)
            self._answer(flow, session.entries[number], number + 1, source)

    def _call_ended(self, flow: http.HTTPFlow, asked: str, turns: interleaved.Turns, begun: int, why: str) -> None:
        """Take note of a call that is over: which recording it was in the end, or `why` it was none."""
        session = self._session
        if session is None or flow.response is None:
            return
        if why:
            self._misses.append({"url": asked, "why": why})
            logger.warning(f"replay: {asked}: {why}")
            return
        session.cassette.used.discard(begun)
        session.cassette.used.add(turns.number)
        flow.response.trailers = mitmproxy_flows.from_headers(session.entries[turns.number].response.trailers)
        if turns.differences:
            why = "; ".join(turns.differences)
            self._alike.append({"url": asked, "entry": turns.number + 1, "why": why})

    @only_if("_session")
    def request(self, flow: http.HTTPFlow) -> None:
        """Answer, always."""
        head = self._heads.pop(flow, None)
        if self._session is None or head is None or flow.response or flow.error:
            return
        request = self._session.redactor.request_swept(replay_session.with_body(head, flow))
        parts = matching.request_key(request, self.replay_ignore)
        found = self._session.cassette.match(parts)
        if isinstance(found, cassette.Match):
            if found.differences:
                why = "; ".join(map(str, found.differences))
                self._alike.append({"url": request.url, "entry": found.number + 1, "why": why})
            self._answer(flow, self._session.entries[found.number], found.number + 1)
        elif self._is_offline:
            self._refuse(flow, f"{parts.method} {parts.origin}{parts.path}", found.explain())

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
        flow.response = replay_session.to_answer(recorded, shift)
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
        """Return what sends a stream as it came, and breaks off what was broken off; None for any other answer."""
        scheduled = stream_source.schedule(recorded, times, self.replay_speed)
        if scheduled is None or flow.request.method == "HEAD" or must_buffer("response"):
            return None
        state = flow_state.state_of(flow)
        return stream_source.StreamSource(
            scheduled, self._over, lambda: flow.client_conn.connected and not state.client_left
        )

    def _send_from(self, flow: http.HTTPFlow, source: flow_state.Source | None) -> None:
        if source is not None and flow.response is not None:
            flow.response.raw_content = b""
            flow.response.headers.pop("content-length", None)
            flow_state.state_of(flow).source = source

    def _replay_conversation(self, flow: http.HTTPFlow, entry: model.Entry, number: int) -> None:
        """Shake hands anew, and play the server of the WebSocket connection that follows."""
        if self._session is None or flow.response is None:
            return
        for name in ("sec-websocket-extensions", "sec-websocket-accept"):  # we compress nothing; the key is another
            flow.response.headers.pop(name, None)
        flow.response.headers["Sec-WebSocket-Accept"] = replay_session.accept_token(
            flow.request.headers["sec-websocket-key"]
        )
        url, misses = entry.request.url, self._misses

        def missed(why: str) -> None:
            misses.append({"url": url, "why": f"entry {number}, {why}"})
            logger.warning(f"replay: {url}: entry {number}, {why}")

        any_secret = self._session.cassette.any_secret
        clean = self._session.redactor.message
        player = websocket_replay.WebSocketReplay(
            *(entry, self.replay_ignore, clean, missed, any_secret), exact=self.replay_exact, speed=self.replay_speed
        )
        websockets.play(flow, player)

    def _refuse(self, flow: http.HTTPFlow, asked: str, why: str) -> None:
        self._misses.append({"url": asked, "why": why})
        logger.warning(f"replay: {asked}: {why}")
        trace.note(flow, self.name, "missed", why)
        flow_state.state_of(flow).replayed = True
        fields = {"content-type": "text/plain; charset=utf-8", "x-replay": "missed"}
        flow.response = http.Response.make(MISS_STATUS, f"replay: {asked}: {why}\n", fields)
        flow.response.reason = "Not Recorded"

    @only_if("_is_offline")
    def error(self, flow: http.HTTPFlow) -> None:
        """Count a request that was refused before it came to us: a tunnel that nobody inspects."""
        if self._is_offline and flow.response is None and flow.error:
            self._misses.append({"url": flow.request.pretty_url, "why": flow.error.msg})

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Count a tunnel that was refused."""
        if self._is_offline:
            self._misses.append({"url": flow.request.pretty_host, "why": "not inspected, so not answered"})

    def done(self) -> None:
        """Report."""
        self._end()

    def _end(self) -> None:
        """End what was being played, and report on it."""
        self._over.set()
        self._over = asyncio.Event()
        session, self._session = self._session, None
        misses, self._misses = self._misses, []
        alike, self._alike = self._alike, []
        report, self._report = self._report, self.replay_report
        if session is None or not report:
            return
        # Only `strict` minds what was not asked for, and finding it reads the capture once more.
        unplayed = session.cassette.unused() if session.cassette.mode is cassette.ReplayMode.STRICT else []
        requests = ((number + 1, session.entries[number].request) for number in unplayed)
        unused = [f"entry {number}: {request.method} {request.url}" for number, request in requests]
        outcome = {
            "played": len(session.cassette.used),
            "problems": session.problems,
            "alike": alike,
            "misses": misses,
            "unused": unused,
        }
        try:
            private_files.write_text(report, json.dumps(outcome, indent=1))
        except OSError as error:
            logger.error(f"option replay_report: {report}: {error.strerror or error}")
