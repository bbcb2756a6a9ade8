"""The capture policy: writes every exchange into `capture_file` as it ends."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable
from pathlib import Path
from weakref import ref

from mitmproxy import ctx, http

from proxy_policies import rules, settings
from proxy_policies.body import Stage
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.options import REDACT
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.flows import flow_state
from proxy_policies.hook_conditions import only_if
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.options.files import expand_home, parse_path
from proxy_policies.settings import Setting

with lazy_imports():
    from proxy_policies.capture.record import recorder, recording
    from proxy_policies.capture.secrets import keyfile, placeholders, redact

logger = logging.getLogger(__name__)


class Capture:
    """Records what the client sent and received, and the origin's response if a policy changed it."""

    name = "capture"
    fast_paths = {**NO_OBJECTION, "hits": ("capture_file",)}

    capture_file = Setting(
        "",
        parse_path,
        "Record every exchange into this HAR file, after those already in it.",
        single_process="one process writes a file; record without --workers",
    )
    capture_filter = Setting("", rules.parse_filter, "Record only exchanges that match this flow filter.")
    capture_redact = REDACT
    capture_max_body = Setting("16m", settings.parse_size, "Keep at most this much of each recorded body.")

    capture_strict = Setting(
        "off",
        settings.parse_switch,
        "Omit bodies that cannot be searched for secrets: truncated, binary, or of unknown coding.",
    )

    def __init__(self) -> None:
        self._recorder: recorder.CaptureRecorder | None = None
        self._ended: set[http.HTTPFlow] = set()  # whose responses are on their way through their pipelines

    def configure(self, updated: set[str]) -> None:
        """Open the capture, and open it again when an option changes."""
        if updated & {"capture_file", "capture_redact", "capture_max_body", "capture_strict"}:
            self._close()
            if self.capture_file:
                self._open(self.capture_file)

    def _open(self, path: Path) -> None:
        try:
            key = keyfile.load_key(expand_home(ctx.options.confdir))
            redactor = redact.Redactor(self.capture_redact, placeholders.Placeholders(key), self.capture_strict)
            stopped = functools.partial(self._stopped, path)
            self._recorder = recorder.CaptureRecorder(path, redactor, self.capture_max_body, stopped)
        except CaptureError as error:
            settings.reject(f"option capture_file: {error}")
        except OSError as error:
            settings.reject(f"option capture_file: {path}: {error.strerror or error}")

    def _close(self) -> None:
        for flow in list(self._ended):
            self._write(flow)  # its client has the answer, and may have had the option changed since
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    @only_if("_recorder")
    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Start a recording before any policy changes the request; wait while too many are still to be written."""
        if self._recorder is None:
            return None
        state = flow_state.state_of(flow)
        begun = state.recording = recording.begin(flow, self.capture_max_body)
        if not begun.sent.is_whole:
            state.request_body.tap(Stage.ORIGIN, begun.sent)
        return self._recorder.has_room() if self._recorder.is_full else None

    @only_if("_recorder")
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Record the body at both ends of its pipeline: from the origin, and to the client."""
        state = flow_state.state_of(flow)
        begun = _begun(state)
        if begun is not None:
            if state.origin is not None:
                state.response_body.tap(Stage.ORIGIN, begun.origin)
            begun.client.at_end = functools.partial(self._pipeline_over, ref(flow))
            state.response_body.tap(Stage.CLIENT, begun.client)
            if flow.response is not None:
                begun.watch(flow.response, begun.client)

    @only_if("_recorder")
    def response(self, flow: http.HTTPFlow) -> None:
        """Write an exchange whose body has been sent; others are written at the end of their pipeline."""
        state = flow_state.state_of(flow)
        if _begun(state) is None or flow.websocket is not None:
            return
        self._ended.add(flow)
        if state.response_body.is_finished:
            self._write(flow)

    def _pipeline_over(self, known: ref[http.HTTPFlow]) -> None:
        """Write a buffered exchange.

        `known` is a weak reference, so that the callback of an exchange does not keep its flow alive.
        """
        flow = known()
        if flow in self._ended:
            self._write(flow)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Write a WebSocket connection with all its messages."""
        self._write(flow)

    @only_if("_recorder")
    def error(self, flow: http.HTTPFlow) -> None:
        """Write an exchange that failed, as far as it was recorded."""
        self._write(flow)

    def done(self) -> None:
        """Complete the capture."""
        self._close()

    def _write(self, flow: http.HTTPFlow) -> None:
        self._ended.discard(flow)
        state = flow_state.state_of(flow)
        begun, state.recording = _begun(state), None
        if begun is None or self._recorder is None or state.replayed or not self.capture_filter(flow):
            return
        make = functools.partial(recording.recorded, flow, begun)
        if flow.error is not None or flow.websocket is not None:
            made = make()  # a policy may still answer in place of the error, and messages are dropped
            self._recorder.write(lambda: made, begun.size)
        else:  # the caller of the pipeline is still to set the length of the final body
            self._recorder.write(make, begun.size, functools.partial(recording.repeatable, flow, begun))

    def _stopped(self, path: Path, error: OSError) -> None:
        """Log that writing failed; traffic goes on."""
        logger.error(f"recording into {path} stopped: {error.strerror or error}")


def _begun(state: flow_state.FlowState) -> recording.Recording | None:
    """Return the recording of an exchange; None if there is none."""
    begun: recording.Recording | None = state.recording  # type: ignore[assignment]
    return begun
