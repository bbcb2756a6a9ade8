"""Sends all bodies through their pipelines, whole or streamed. Nothing else sets the `.stream` of messages."""

import logging
from collections.abc import Awaitable

from mitmproxy import ctx, http
from mitmproxy.flow import Error
from mitmproxy.utils import human

from proxy_policies import trace
from proxy_policies.body import PREVIEW_LIMIT, Pipeline, Preview, Replace, Stage, StreamCallable
from proxy_policies.dispatch.around_scripts import Hooks
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.flows import flow_state
from proxy_policies.http1.framing import has_no_body
from proxy_policies.streaming.decision import (
    comes_from_source,
    is_endless,
    must_buffer,
    reason_to_stream_request,
    reason_to_stream_response,
)
from proxy_policies.streaming.stream import Stream

logger = logging.getLogger(__name__)

SAVED_LIMIT = 256 * 1024 * 1024
"""The most bytes of a streamed body kept for `-w` and `hardump`; mitmproxy has no bound."""
TRUNCATED = "policy_request_cut"
"""The flow metadata with the number of bytes kept of a truncated request body."""


class Streaming:
    """Last in the chain: decides what is streamed, and sends buffered bodies through their pipelines.

    The part of a pipeline before Stage.SCRIPT is run before every script, the rest after all of them.
    """

    name = "streaming"
    fast_paths = NO_OBJECTION

    def early_hooks(self) -> Hooks:
        """Return the hook that captures the origin's body before a script can edit it."""
        return Hooks(self.name, response=self.receive_response)

    def late_hooks(self) -> Hooks:
        """Return the hooks that run after scripts have set `.stream`, and after they have edited bodies."""
        return Hooks(
            self.name,
            requestheaders=self.decide_request,
            responseheaders=self.decide_response,
            response=self.complete_response,
        )

    def decide_request(self, flow: http.HTTPFlow) -> None:
        """Stream a large upload, unless it is already answered, or its answer depends on the whole body."""
        request, state = flow.request, flow_state.state_of(flow)
        if isinstance(request.stream, Stream):
            request.stream = False
        if flow.response or flow.error or state.needs_full_body:
            # mitmproxy raises if a streamed request is already answered; stream_large_bodies may have set this.
            request.stream = False
        elif _is_truncated_replay(flow):
            logger.warning(f"{request.method} {request.pretty_url} is not sent again: only part of its body was kept")
            trace.note(flow, self.name, "not sent again", "only the beginning of the request's body was kept")
            flow.kill()
        elif why := reason_to_stream_request(request):
            self._stream(flow, request, state.request_body, why)

    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Send a buffered upload through its pipeline, or publish the preview of a streamed one."""
        if flow.request.stream:
            _publish_preview(flow, flow.request)
        pipeline = flow_state.state_of(flow).request_pipeline
        return _or_kill(flow, _run_pipeline(flow.request, pipeline)) if pipeline else None

    def decide_response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Stream responses that are large, of unknown length or endless. Addons' responses are sent whole."""
        response, state = flow.response, flow_state.state_of(flow)
        if response is None or has_no_body(flow.request.method, response.data.status_code):
            return None
        closing = None
        if state.source is not None and not comes_from_source(state, response):
            closing, state.source = state.source.close(), None
        if state.source is not None or (state.origin is None and (state.hit or state.variants is not None)):
            _apply_to_stored(state, response)
        elif state.origin is not None and not state.is_awaited_whole and (why := reason_to_stream_response(response)):
            self._stream(flow, response, state.response_body, why)
        return closing

    def responseheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Read a stored body completely if an addon needs it; sent piece by piece, no addon would see it."""
        state, response = flow_state.state_of(flow), flow.response
        if response is None or state.source is None or not comes_from_source(state, response):
            return None
        return _read_whole(state, response, state.source) if must_buffer("response") else None

    def receive_response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Send a buffered download through the origin's stages, or publish the preview of a streamed one."""
        state, response = flow_state.state_of(flow), flow.response
        if response is None or state.source is not None:
            return None
        if response.stream:
            _publish_preview(flow, response)
        if state.origin is None:
            return None
        if state.response_pipeline and not has_no_body(flow.request.method, response.data.status_code):
            return _note_origin_body(state, response)
        state.content = response.raw_content
        return None

    def complete_response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Send a buffered download through the rest of its pipeline."""
        state, response = flow_state.state_of(flow), flow.response
        if flow.error is not None and flow.error.msg == Error.KILLED_MESSAGE:  # killing triggers no hook at this point
            state.response_body.abort()
        if response is None or state.source is not None or not state.response_pipeline:
            return None
        if has_no_body(flow.request.method, response.data.status_code):
            # Notify the taps of the end; an encoder's output for an empty body must not be sent.
            state.response_pipeline.finish()
            return None
        return _or_kill(flow, _run_pipeline(response, state.response_pipeline))

    def error(self, flow: http.HTTPFlow) -> None:
        """Abort the taps, because the exchange broke off; publish previews."""
        state = flow_state.state_of(flow)
        for message, pipeline in ((flow.request, state.request_body), (flow.response, state.response_body)):
            pipeline.abort()
            if message is not None:
                _publish_preview(flow, message)

    def _stream(self, flow: http.HTTPFlow, message: http.Message, pipeline: Pipeline, why: str) -> None:
        trace.note(flow, self.name, f"{_kind(message)} streamed", why)
        attach(message, pipeline)


def _run_pipeline(message: http.Message, pipeline: Pipeline, before: Stage | None = None) -> Awaitable[None] | None:
    """Send a buffered body through its pipeline, or only through the parts before a stage."""
    content = message.raw_content
    if pipeline.is_finished or content is None or pipeline.pass_taps(content, before):
        return None
    return _run(message, content, pipeline, before)


async def _run(message: http.Message, content: bytes, pipeline: Pipeline, before: Stage | None) -> None:
    body = await pipeline.run(content, before)
    if body is not content:
        message.raw_content = body
        message.headers.pop("transfer-encoding", None)
        message.headers["content-length"] = str(len(body))


def _or_kill(flow: http.HTTPFlow, completing: Awaitable[None] | None) -> Awaitable[None] | None:
    """Kill an exchange if a script fails while changing its body, so that the unchanged body is not sent."""
    if completing is None:
        return None

    async def complete() -> None:
        try:
            await completing
        except Exception:
            flow_state.state_of(flow).response_body.abort()
            if flow.killable:
                flow.kill()
            raise

    return complete()


async def _read_whole(state: flow_state.FlowState, response: http.Response, source: flow_state.Source) -> None:
    pieces = []
    try:
        while piece := await source.read():
            pieces.append(piece)
    except OSError:  # sending it will fail, too, and break off
        return
    await source.close()
    state.source, content = None, b"".join(pieces)
    if state.origin is None:
        response.raw_content = state.content = content
        response.headers["content-length"] = str(len(content))
    else:
        state.response_body.add(Stage.ORIGIN, Replace(content))


def _note_origin_body(state: flow_state.FlowState, response: http.Response) -> Awaitable[None] | None:
    """Note the origin's body before scripts edit it."""
    running = _run_pipeline(response, state.response_body, before=Stage.SCRIPT)
    if running is None:
        state.content = response.raw_content
        return None

    async def note() -> None:
        await running
        state.content = response.raw_content

    return note()


def _apply_to_stored(state: flow_state.FlowState, response: http.Response) -> None:
    """Pass a stored body through a script's stream, which mitmproxy calls only for responses from origins."""
    if callable(response.stream):
        state.response_body.add(Stage.SCRIPT, StreamCallable(response.stream))
        if state.source is not None:
            response.headers.pop("content-length", None)
    response.stream = False


def reattach(message: http.Message | None, pipeline: Pipeline) -> None:
    """Make the pipeline the stream of a message for which another addon or option requested streaming."""
    if message is not None and message.stream and not isinstance(message.stream, Stream):
        attach(message, pipeline)


def attach(message: http.Message, pipeline: Pipeline) -> None:
    """Make a pipeline the message's stream, including a script's stream callable if there is one."""
    is_saved = bool(ctx.options.save_stream_file or ctx.options.hardump)
    preview = Preview(SAVED_LIMIT if is_saved else PREVIEW_LIMIT)
    pipeline.tap(Stage.PREVIEW, preview)
    if callable(message.stream):
        pipeline.add(Stage.SCRIPT, StreamCallable(message.stream))
    if pipeline.transforms:
        message.headers.pop("content-length", None)
    message.stream = Stream(pipeline, preview, is_eager=is_endless(message), is_asked_for=bool(message.stream))


def _kind(message: http.Message) -> str:
    return "request" if isinstance(message, http.Request) else "response"


def _publish_preview(flow: http.HTTPFlow, message: http.Message) -> None:
    """Store the beginning of a streamed body in the flow, and note if it is incomplete."""
    if not isinstance(message.stream, Stream) or message.raw_content is not None:
        return
    preview = message.stream.preview
    message.raw_content = bytes(preview.kept)
    if not preview.whole:
        if isinstance(message, http.Request):
            flow.metadata[TRUNCATED] = len(preview.kept)
        kept, size = human.pretty_size(len(preview.kept)), human.pretty_size(preview.size)
        passed = f"of the {size} that passed, the first {kept} are kept to be looked at"
        trace.note(flow, Streaming.name, f"{_kind(message)} shown in part", passed)


def _is_truncated_replay(flow: http.HTTPFlow) -> bool:
    """Return whether a flow that is sent again lacks part of its body; one edited by the user does not."""
    content = flow.request.raw_content
    return flow.is_replay == "request" and content is not None and len(content) == flow.metadata.get(TRUNCATED)
