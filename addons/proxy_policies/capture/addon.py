"""The capture policy: writes every exchange into `capture_file` as it ends."""

import asyncio
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakKeyDictionary, ref

from mitmproxy import ctx, http
from mitmproxy.flow import Flow

from proxy_policies import exchange, rules, settings
from proxy_policies.body import Stage
from proxy_policies.capture import flows, redact
from proxy_policies.capture.bodies import body_of
from proxy_policies.capture.collector import Collector
from proxy_policies.capture.keyfile import load_key
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response
from proxy_policies.capture.options import REDACT
from proxy_policies.capture.places import CaptureError
from proxy_policies.capture.secrets import Placeholders
from proxy_policies.capture.sink import Sink
from proxy_policies.settings import Setting

logger = logging.getLogger(__name__)

INLINE = 128 * 1024  # octets: a larger exchange is redacted and written in a thread


@dataclass(slots=True, eq=False)
class Recording:
    """What is collected of one exchange while it lives."""

    request: Request
    sent: Collector
    origin: Collector
    client: Collector
    ended: bool = False


class Capture:
    """Records what the client sent and got, and what the origin sent where a policy changed it."""

    name = "capture"

    capture_file = Setting("", settings.as_text, "Record every exchange into this HAR file; it goes on where it ended.")
    capture_filter = Setting("", rules.parse_filter, "Record only exchanges that match this flow filter.")
    capture_redact = REDACT
    capture_max_body = Setting("16m", settings.parse_size, "Keep at most this much of each recorded body.")

    def __init__(self) -> None:
        self._sink: Sink | None = None
        self._recordings: WeakKeyDictionary[Flow, Recording] = WeakKeyDictionary()
        self._threads: set[asyncio.Task[None]] = set()

    def configure(self, updated: set[str]) -> None:
        """Open another capture when its options change."""
        if updated & {"capture_file", "capture_redact"}:
            self._close()
            if self.capture_file:
                self._open(Path(self.capture_file).expanduser())

    def _open(self, path: Path) -> None:
        try:
            key = load_key(Path(ctx.options.confdir).expanduser())
            self._sink = Sink(path, redact.Redactor(self.capture_redact, Placeholders(key)))
        except CaptureError as error:
            settings.refuse(f"option capture_file: {error}")
        except OSError as error:
            settings.refuse(f"option capture_file: {path}: {error.strerror or error}")

    def _close(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Begin to collect, before any policy touches the request."""
        if self._sink is None:
            return
        known = exchange.of(flow)
        received = known.received.raw if known.received else flow.request.headers.fields
        recording = Recording(
            flows.request_of(flow.request, flows.to_headers(received), Body()),
            sent=Collector(self.capture_max_body),
            origin=Collector(self.capture_max_body),
            client=Collector(self.capture_max_body),
        )
        known.request_body.tap(Stage.ORIGIN, recording.sent)
        self._recordings[flow] = recording

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Watch the body at both ends of its pipeline: from the origin, and to the client."""
        recording = self._recordings.get(flow)
        if recording is not None:
            known = exchange.of(flow)
            if known.origin is not None:
                known.response_body.tap(Stage.ORIGIN, recording.origin)
            known.response_body.tap(Stage.CLIENT, recording.client)
            known.response_body.tap(Stage.PREVIEW, _AtEnd(self, flow))

    def response(self, flow: http.HTTPFlow) -> None:
        """Write an exchange whose body was streamed; a buffered one is written once it went through its pipeline."""
        recording = self._recordings.get(flow)
        if recording is None or flow.websocket is not None:
            return
        recording.ended = True
        if exchange.of(flow).response_body.is_over:
            self._write(flow)

    def pipeline_over(self, flow: http.HTTPFlow) -> None:
        """Write a buffered exchange, after whoever ran the pipeline has set the length that goes with its outcome."""
        recording = self._recordings.get(flow)
        if recording is not None and recording.ended:
            asyncio.get_running_loop().call_soon(self._write, flow)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Write a WebSocket connection with all its messages."""
        self._write(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """Write an exchange that broke off, with what there is of it."""
        self._write(flow)

    async def done(self) -> None:
        """Make the capture whole."""
        await asyncio.gather(*self._threads)
        self._close()

    def _write(self, flow: http.HTTPFlow) -> None:
        recording = self._recordings.pop(flow, None)
        if recording is None or self._sink is None or exchange.of(flow).replayed or not self.capture_filter(flow):
            return
        entry = entry_of(flow, recording)
        if len(entry.response.body.content) + len(entry.request.body.content) <= INLINE:
            self._keep(self._sink, entry)
        else:
            task = asyncio.ensure_future(asyncio.to_thread(self._keep, self._sink, entry))
            self._threads.add(task)
            task.add_done_callback(self._threads.discard)

    def _keep(self, sink: Sink, entry: Entry) -> None:
        """Write, and stop recording when the disk says no: traffic goes on."""
        try:
            sink.write(entry)
        except OSError as error:
            logger.error(f"recording into {sink.path} stopped: {error.strerror or error}")
            self._sink = None


class _AtEnd:
    """A tap that tells the policy that the body is through its pipeline.

    It holds the flow weakly: what an exchange is known by must not keep it alive.
    """

    def __init__(self, policy: Capture, flow: http.HTTPFlow) -> None:
        self._policy = policy
        self._flow = ref(flow)

    def feed(self, data: bytes) -> None:
        """See nothing."""

    def finish(self) -> None:
        """Tell it."""
        if (flow := self._flow()) is not None:
            self._policy.pipeline_over(flow)

    def abort(self) -> None:
        """Leave it to the error hook."""


def entry_of(flow: http.HTTPFlow, recording: Recording) -> Entry:
    """Return the exchange as it is to be written."""
    head = recording.request
    request = Request(
        head.method,
        head.url,
        head.headers,
        _body(recording.sent, head.headers),
        head.version,
        flows.to_headers(flow.request.trailers.fields) if flow.request.trailers else (),
        head.target,
    )
    response = Response(0)
    if flow.response is not None:
        headers = flows.to_headers(flow.response.headers.fields)
        response = flows.response_of(flow.response, _body(recording.client, headers))
    entry = flows.entry_of(flow, request, response, _changed_origin(flow, recording, response))
    if exchange.of(flow).origin is not None or flow.response is None:
        return entry
    return replace(entry, facts={**entry.facts, "answered_by": "policy"})


def _changed_origin(flow: http.HTTPFlow, recording: Recording, response: Response) -> Response | None:
    """Return what the origin sent, or None when the client got just that."""
    head = exchange.of(flow).origin
    if head is None:
        return None
    headers = flows.to_headers(head.fields.raw)
    version = flows.version_of(head.http_version)
    origin = Response(head.status, head.reason, headers, _body(recording.origin, headers), version, response.trailers)
    return None if origin == response else origin


def _body(collected: Collector, headers: Headers) -> Body:
    if collected.lost:
        return Body(collected.data, lost=collected.lost, sha256=collected.sha256)
    return body_of(collected.data, headers)
