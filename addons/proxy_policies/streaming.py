"""The one owner of `.stream`: decides which bodies are streamed, and sends all of them through their pipelines.

Small bodies of known length stay buffered, so that mitmproxy's own modify_body
and intercept, and other people's addons, find their content. What is large, of
unknown length or endless is streamed: memory does not grow with a body's size.

What has come of a streamed body is sent on when its sender pauses, whatever a
transform would rather wait for.
"""

import logging
import time
from collections.abc import Awaitable, Iterable, Iterator
from functools import lru_cache

from mitmproxy import ctx, http
from mitmproxy.addonmanager import traverse
from mitmproxy.flow import Error
from mitmproxy.utils import human

from proxy_policies import flow_state, trace
from proxy_policies.body import PREVIEW_LIMIT, Pipeline, Preview, Replace, Stage, StreamCallable
from proxy_policies.dispatch.around_scripts import Hooks
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.fields import fields_of
from proxy_policies.http1.framing import has_no_body
from proxy_policies.settings import Settings

logger = logging.getLogger(__name__)

BUFFER_LIMIT = 1024 * 1024
"""Bodies over this many bytes are streamed: mitmproxy copies a buffered one about twice."""
STREAMING_MEDIA_TYPES = ("text/event-stream", "application/x-ndjson", "multipart/x-mixed-replace", "application/grpc")
"""Media types that are sent bit by bit, and whose bits are wanted at once."""
PAUSE = 0.05
"""Seconds without more of a body after which what is held back of it is sent (Apache: 10 ms; HAProxy: none)."""
HELD_BACK = 0.25
"""Seconds for which anything is held back at most, however steadily a little more comes."""
SAVED_LIMIT = 256 * 1024 * 1024
"""How many bytes of a streamed body are kept for `-w` and `hardump`; mitmproxy has no bound."""
WITHOUT_CONTENT = ("GET", "HEAD", "DELETE", "OPTIONS", "TRACE")
"""Methods whose requests have no content as a rule (RFC 9110, section 9.3); HTTP/2 does not say beforehand."""
TRUNCATED = "policy_request_cut"
"""Where a flow keeps how many bytes it has of a request body that it has not whole."""


def declared_length(message: http.Message) -> int | None:
    """Read Content-Length, bytes; None when the length is not known beforehand."""
    fields = fields_of(message.headers)
    text = fields.get("content-length")
    if text is None or "transfer-encoding" in fields:
        return None
    return int(text) if text.isascii() and text.isdigit() else None


def is_endless(message: http.Message) -> bool:
    """Return whether the media type is one whose bits are wanted as they come."""
    return _is_streaming_type(fields_of(message.headers).get("content-type") or "")


@lru_cache(maxsize=256)
def _is_streaming_type(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower().startswith(STREAMING_MEDIA_TYPES)


def length_of(flow: http.HTTPFlow, response: http.Response) -> int | None:
    """Return the bytes of a response's body: what there is, else what is declared; None when it is not known."""
    content = response.raw_content
    is_elsewhere = content is None or _comes_from_source(flow_state.state_of(flow), response)
    if content is None or is_elsewhere or has_no_body(flow.request.method, response.status_code):
        return declared_length(response)
    return len(content)


def must_buffer(hook: str) -> bool:
    """Return whether somebody needs whole bodies before they are sent: mitmproxy's options, or another's script."""
    options = ctx.options
    if options.modify_body or options.server_replay:
        return True
    if getattr(options, "intercept", None) and options.intercept_active:
        return True
    loader = ctx.master.addons.get("scriptloader")
    return loader is not None and any(_is_foreign(script, hook) for script in loader.addons)


def is_limited() -> bool:
    """Return whether `body_size_limit` bounds bodies: mitmproxy looks at what is declared, and at what is buffered."""
    return ctx.options.body_size_limit is not None


def _is_foreign(script: object, hook: str) -> bool:
    """Return whether a script that `chain` did not make has this hook."""
    parts = list(traverse([script]))
    return not any(isinstance(part, Settings) for part in parts) and any(hasattr(part, hook) for part in parts)


class Streaming:
    """Last in the chain: decides what is streamed, and sends buffered bodies through their pipelines.

    What of a pipeline is the origin's is done before every script, the rest after all of them.
    """

    name = "streaming"
    fast_paths = NO_OBJECTION

    def early_hooks(self) -> Hooks:
        """Take what the origin sent before a script can edit it."""
        return Hooks(self.name, response=self.receive_response)

    def late_hooks(self) -> Hooks:
        """Decide when scripts have said what they want streamed, and end when they have edited what they get."""
        return Hooks(
            self.name,
            requestheaders=self.decide_request,
            responseheaders=self.decide_response,
            response=self.complete_response,
        )

    def decide_request(self, flow: http.HTTPFlow) -> None:
        """Stream a large upload. Never one that has its answer already, or whose answer depends on all of it."""
        request, state = flow.request, flow_state.state_of(flow)
        if isinstance(request.stream, Stream):
            request.stream = False
        if flow.response or flow.error or state.needs_full_body:
            # mitmproxy raises when a streamed request has its answer; stream_large_bodies has set this before us.
            request.stream = False
        elif _is_truncated_replay(flow):
            logger.warning(f"{request.method} {request.pretty_url} is not sent again: only part of its body was kept")
            trace.note(flow, self.name, "not sent again", "only the beginning of the request's body was kept")
            flow.kill()
        elif why := _reason_to_stream_request(request):
            self._stream(flow, request, state.request_body, why)

    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Send a buffered upload through its pipeline, or show what passed of a streamed one."""
        _publish_preview(flow, flow.request)
        return _or_kill(flow, _completing(flow.request, flow_state.state_of(flow).request_body))

    def decide_response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Stream what is large, of unknown length or endless. What an addon answers is sent whole."""
        response, state = flow.response, flow_state.state_of(flow)
        if response is None or has_no_body(flow.request.method, response.status_code):
            return None
        closing = None
        if state.source is not None and not _comes_from_source(state, response):
            closing, state.source = state.source.close(), None
        if state.source is not None or (state.origin is None and (state.hit or state.variants is not None)):
            _apply_to_stored(state, response)
        elif state.origin is not None and not state.has_followers and (why := _reason_to_stream_response(response)):
            self._stream(flow, response, state.response_body, why)
        return closing

    def responseheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Read what is stored whole for who wants it whole; it would be sent piece by piece, and seen by nobody."""
        state, response = flow_state.state_of(flow), flow.response
        if response is None or not _comes_from_source(state, response) or not must_buffer("response"):
            return None
        return None if state.source is None else _read_whole(state, response, state.source)

    def receive_response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Send a buffered download through what is the origin's, or show what passed of a streamed one."""
        state, response = flow_state.state_of(flow), flow.response
        if response is None or state.source is not None:
            return None
        _publish_preview(flow, response)
        if state.origin is None:
            return None
        if not has_no_body(flow.request.method, response.status_code):
            return _noting(state, response)
        state.content = response.raw_content
        return None

    def complete_response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Send a buffered download through the rest of its pipeline."""
        state, response = flow_state.state_of(flow), flow.response
        if flow.error is not None and flow.error.msg == Error.KILLED_MESSAGE:  # which has no hook at this point
            state.response_body.abort()
        if response is None or state.source is not None:
            return None
        if has_no_body(flow.request.method, response.status_code):
            # The taps learn of the end; what an encoder would write for an empty body must not be sent.
            state.response_body.finish()
            return None
        return _or_kill(flow, _completing(response, state.response_body))

    def error(self, flow: http.HTTPFlow) -> None:
        """Abort the taps: the exchange broke off; show what had passed."""
        state = flow_state.state_of(flow)
        for message, pipeline in ((flow.request, state.request_body), (flow.response, state.response_body)):
            pipeline.abort()
            if message is not None:
                _publish_preview(flow, message)

    def _stream(self, flow: http.HTTPFlow, message: http.Message, pipeline: Pipeline, why: str) -> None:
        trace.note(flow, self.name, f"{_kind(message)} streamed", why)
        attach(message, pipeline)


def _completing(message: http.Message, pipeline: Pipeline, before: Stage | None = None) -> Awaitable[None] | None:
    """Send a buffered body through its pipeline, or through what of it is before a stage."""
    content = message.raw_content
    if not pipeline or pipeline.is_finished or content is None or pipeline.pass_taps(content, before):
        return None
    return _run(message, content, pipeline, before)


async def _run(message: http.Message, content: bytes, pipeline: Pipeline, before: Stage | None) -> None:
    body = await pipeline.run(content, before)
    if body is not content:
        message.raw_content = body
        message.headers.pop("transfer-encoding", None)
        message.headers["content-length"] = str(len(body))


def _or_kill(flow: http.HTTPFlow, completing: Awaitable[None] | None) -> Awaitable[None] | None:
    """Break off an exchange whose body a script fails to change: nobody gets it as it was."""
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
    except OSError:  # whoever sends it will find that, too, and break off
        return
    await source.close()
    state.source, content = None, b"".join(pieces)
    if state.origin is None:
        response.raw_content = state.content = content
        response.headers["content-length"] = str(len(content))
    else:
        state.response_body.add(Stage.ORIGIN, Replace(content))


def _noting(state: flow_state.FlowState, response: http.Response) -> Awaitable[None] | None:
    """Have the origin's body as it is before scripts edit it."""
    running = _completing(response, state.response_body, before=Stage.SCRIPT)
    if running is None:
        state.content = response.raw_content
        return None

    async def note() -> None:
        await running
        state.content = response.raw_content

    return note()


def _apply_to_stored(state: flow_state.FlowState, response: http.Response) -> None:
    """Have a script's stream see what is stored: mitmproxy asks it for what comes from origins only."""
    if callable(response.stream):
        state.response_body.add(Stage.SCRIPT, StreamCallable(response.stream))
        if state.source is not None:
            response.headers.pop("content-length", None)
    response.stream = False


def _comes_from_source(state: flow_state.FlowState, response: http.Response) -> bool:
    """Return whether a stored body is read as it is sent: no addon has put another in its place.

    An origin's content is what the stored body stands in for.
    """
    return state.source is not None and (state.origin is not None or not response.raw_content)


def is_sent_in_pieces(flow: http.HTTPFlow) -> bool:
    """Return whether a response's head goes out before its body is there whole, as it stands."""
    response, state = flow.response, flow_state.state_of(flow)
    if response is None or has_no_body(flow.request.method, response.status_code):
        return False
    if _comes_from_source(state, response) or isinstance(response.stream, Stream):
        return True
    from_origin = state.origin is not None and response.raw_content is None and not state.has_followers
    return from_origin and bool(_reason_to_stream_response(response))


def _reason_to_stream_request(request: http.Request) -> str:
    """Return why an upload is to be streamed; "" when it is not."""
    if request.stream:
        return "so asked"
    length = declared_length(request)
    has_content = request.is_http2 and request.method not in WITHOUT_CONTENT
    chunked = has_content or "transfer-encoding" in fields_of(request.headers)
    if chunked and is_endless(request):
        return "its parts are wanted as they come"
    is_long = (chunked and not is_limited()) if length is None else length > BUFFER_LIMIT
    if not is_long or must_buffer("request"):
        return ""
    return "its length is not known" if length is None else "over 1 MiB"


def _reason_to_stream_response(response: http.Response) -> str:
    """Return why a download is to be streamed; "" when it is not."""
    if response.stream:
        return "so asked"
    if is_endless(response):
        return "its parts are wanted as they come"
    length = declared_length(response)
    is_long = not is_limited() if length is None else length > BUFFER_LIMIT
    if not is_long or must_buffer("response"):
        return ""
    return "its length is not known" if length is None else "over 1 MiB"


def take_back(message: http.Message | None, pipeline: Pipeline) -> None:
    """Make the pipeline the stream of a message that somebody has asked to be streamed."""
    if message is not None and message.stream and not isinstance(message.stream, Stream):
        attach(message, pipeline)


def attach(message: http.Message, pipeline: Pipeline) -> None:
    """Make a pipeline the message's stream. A script's stream callable, if there is one, is a part of it."""
    is_saved = bool(ctx.options.save_stream_file or ctx.options.hardump)
    preview = Preview(SAVED_LIMIT if is_saved else PREVIEW_LIMIT)
    pipeline.tap(Stage.PREVIEW, preview)
    if callable(message.stream):
        pipeline.add(Stage.SCRIPT, StreamCallable(message.stream))
    if pipeline.transforms:
        message.headers.pop("content-length", None)
    message.stream = Stream(pipeline, preview, is_eager=is_endless(message), is_asked_for=bool(message.stream))


class Stream:
    """What mitmproxy calls with each chunk, and with b"" at the end. An eager one holds nothing back."""

    __slots__ = ("_is_asked_for", "_is_eager", "_received_at", "_sent_at", "pipeline", "preview")

    def __init__(self, pipeline: Pipeline, preview: Preview, is_eager: bool = False, is_asked_for: bool = True) -> None:
        self.pipeline = pipeline
        self.preview = preview
        self._is_eager, self._is_asked_for = is_eager, is_asked_for
        self._received_at = self._sent_at = 0.0
        """In seconds of `time.monotonic`."""

    def __call__(self, data: bytes) -> Iterable[bytes]:
        """Send a chunk through; what a script makes of it, as it makes it."""
        chunks = self._send(data)
        return chunks if self.pipeline.is_scripted else list(chunks)

    def _send(self, data: bytes) -> Iterator[bytes]:
        now = self._received_at = time.monotonic()
        if not self.pipeline.holds_back:
            self._sent_at = now
        for chunk in self.pipeline.stream(data):
            self._sent_at = now
            yield chunk
        if self._is_eager:
            yield from self.flush()

    def flush(self) -> Iterator[bytes]:
        """Send what is held back."""
        self._sent_at = time.monotonic()
        yield from self.pipeline.flush()

    def exceeds(self, limit: int, more: int) -> bool:
        """Return whether so many more bytes are too many, of a body that nobody but us wants streamed."""
        return not self._is_asked_for and self.preview.size + more > limit

    def seconds_to_flush(self) -> float | None:
        """Return when to flush unless more comes; None when nothing is held back."""
        if not self.pipeline.holds_back:
            return None
        return min(self._received_at + PAUSE, self._sent_at + HELD_BACK) - time.monotonic()


def _kind(message: http.Message) -> str:
    return "request" if isinstance(message, http.Request) else "response"


def _publish_preview(flow: http.HTTPFlow, message: http.Message) -> None:
    """Let the flow have the beginning of what was streamed, and say so if that is not all."""
    if message.raw_content is not None or not isinstance(message.stream, Stream):
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
    """Return whether a flow that is sent again lacks a part of its body; one that the user has edited does not."""
    content = flow.request.raw_content
    return flow.is_replay == "request" and content is not None and len(content) == flow.metadata.get(TRUNCATED)


BUFFERED_FOR = 10.0
"""Seconds after which a body of unknown length is streamed though somebody wants it whole, if less than 1 MiB of it has
come: it trickles, and may never end. Far longer than a page takes, and half of what makes people give up."""
