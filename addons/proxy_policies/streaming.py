"""The one owner of `.stream`: decides which bodies are streamed, and sends all of them through their pipelines.

Small bodies of known length stay buffered, so that mitmproxy's own modify_body
and intercept, and other people's addons, find their content. What is large, of
unknown length or endless is streamed: memory does not grow with a body's size.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.addonmanager import traverse
from mitmproxy.utils import human

from proxy_policies import exchange, trace
from proxy_policies.body import Pipeline, Preview, Stage
from proxy_policies.fields import Fields
from proxy_policies.patches.messages import has_no_body
from proxy_policies.settings import Settings

logger = logging.getLogger(__name__)

BUFFER_LIMIT = 1024 * 1024
"""Bodies over this many bytes are streamed: mitmproxy copies a buffered one about twice."""
ENDLESS = ("text/event-stream", "application/x-ndjson", "multipart/x-mixed-replace", "application/grpc")
"""Media types that are sent bit by bit, and whose bits are wanted at once."""
WITHOUT_CONTENT = ("GET", "HEAD", "DELETE", "OPTIONS", "TRACE")
"""Methods whose requests have no content as a rule (RFC 9110, section 9.3); HTTP/2 does not say beforehand."""
CUT = "policy_request_cut"
"""Where a flow keeps how many bytes it has of a request body that it has not whole."""


def declared_length(message: http.Message) -> int | None:
    """Read Content-Length, bytes; None when the length is not known beforehand."""
    fields = Fields(message.headers.fields)
    text = fields.get("content-length")
    if text is None or "transfer-encoding" in fields:
        return None
    return int(text) if text.isascii() and text.isdigit() else None


def is_endless(message: http.Message) -> bool:
    """Say whether the media type is one whose bits are wanted as they come."""
    media_type = Fields(message.headers.fields).get("content-type") or ""
    return media_type.partition(";")[0].strip().lower().startswith(ENDLESS)


def wanted_whole(hook: str) -> bool:
    """Say whether something in this mitmproxy needs whole bodies: its own options, or somebody else's script."""
    options = ctx.options
    if options.modify_body or options.server_replay or options.save_stream_file or options.hardump:
        return True
    if getattr(options, "intercept", None) and options.intercept_active:
        return True
    loader = ctx.master.addons.get("scriptloader")
    return loader is not None and any(_is_foreign(script, hook) for script in loader.addons)


def _is_foreign(script: object, hook: str) -> bool:
    """Say whether a script that `chain` did not make has this hook."""
    parts = list(traverse([script]))
    return not any(isinstance(part, Settings) for part in parts) and any(hasattr(part, hook) for part in parts)


class Streaming:
    """Last in the chain: decides what is streamed, and sends buffered bodies through their pipelines."""

    name = "streaming"

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Stream a large upload. Never one that has its answer already, or whose answer depends on all of it."""
        request, known = flow.request, exchange.of(flow)
        if isinstance(request.stream, Stream):
            request.stream = False
        if flow.response or flow.error or known.whole:
            # mitmproxy raises when a streamed request has its answer; stream_large_bodies has set this before us.
            request.stream = False
        elif _is_cut(flow):
            logger.warning(f"{request.method} {request.pretty_url} is not sent again: its body was not kept whole")
            trace.note(flow, self.name, "not sent again", "only the beginning of the request's body was kept")
            flow.kill()
        elif why := _why_stream_request(request):
            self._stream(flow, request, known.request_body, why)

    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Send a buffered upload through its pipeline, or show what passed of a streamed one."""
        return self._complete(flow, flow.request, exchange.of(flow).request_body)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream what is large, of unknown length or endless. What an addon answers is sent whole."""
        response, known = flow.response, exchange.of(flow)
        if response is None or known.origin is None or has_no_body(flow.request.method, response.status_code):
            return
        if known.source is not None or known.awaited:  # with a source the client gets something else
            return
        if why := _why_stream_response(response):
            self._stream(flow, response, known.response_body, why)

    def response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Send a buffered download through its pipeline, or show what passed of a streamed one."""
        known = exchange.of(flow)
        if flow.response is None or known.source is not None:
            return None
        if has_no_body(flow.request.method, flow.response.status_code):
            # The taps learn of the end; what an encoder would write for an empty body must not be sent.
            known.response_body.finish()
            return None
        return self._complete(flow, flow.response, known.response_body)

    def error(self, flow: http.HTTPFlow) -> None:
        """Tell the taps that the exchange broke off, and show what had passed."""
        known = exchange.of(flow)
        for message, pipeline in ((flow.request, known.request_body), (flow.response, known.response_body)):
            pipeline.abort()
            if message is not None:
                _show(flow, message)

    def _stream(self, flow: http.HTTPFlow, message: http.Message, pipeline: Pipeline, why: str) -> None:
        trace.note(flow, self.name, f"{_kind(message)} streamed", why)
        attach(message, pipeline)

    def _complete(self, flow: http.HTTPFlow, message: http.Message, pipeline: Pipeline) -> Awaitable[None] | None:
        _show(flow, message)
        if not pipeline or pipeline.is_over or message.raw_content is None:
            return None
        return _run(message, message.raw_content, pipeline)


async def _run(message: http.Message, content: bytes, pipeline: Pipeline) -> None:
    changes = pipeline.transforms
    body = await pipeline.run(content)
    if changes:
        message.raw_content = body
        message.headers.pop("transfer-encoding", None)
        message.headers["content-length"] = str(len(body))


def _why_stream_request(request: http.Request) -> str:
    """Say why an upload is to be streamed; "" when it is not."""
    if request.stream:
        return "so asked"
    length = declared_length(request)
    has_content = request.is_http2 and request.method not in WITHOUT_CONTENT
    chunked = has_content or "transfer-encoding" in Fields(request.headers.fields)
    if not (chunked if length is None else length > BUFFER_LIMIT) or wanted_whole("request"):
        return ""
    return "its length is not known" if length is None else "over 1 MiB"


def _why_stream_response(response: http.Response) -> str:
    """Say why a download is to be streamed; "" when it is not."""
    length = declared_length(response)
    if response.stream:
        return "so asked"
    if is_endless(response):
        return "its parts are wanted as they come"
    if not (length is None or length > BUFFER_LIMIT) or wanted_whole("response"):
        return ""
    return "its length is not known" if length is None else "over 1 MiB"


def attach(message: http.Message, pipeline: Pipeline) -> None:
    """Make a pipeline the message's stream. Another addon's stream callable, if there is one, goes first."""
    preview = Preview()
    pipeline.tap(Stage.PREVIEW, preview)
    before = message.stream if callable(message.stream) else None
    message.stream = Stream(pipeline, preview, before)
    if pipeline.transforms or before:
        message.headers.pop("content-length", None)


class Stream:
    """What mitmproxy calls with each chunk, and with b"" at the end."""

    __slots__ = ("before", "pipeline", "preview")

    def __init__(self, pipeline: Pipeline, preview: Preview, before: Callable[[bytes], Any] | None = None) -> None:
        self.pipeline = pipeline
        self.preview = preview
        self.before = before

    def __call__(self, data: bytes) -> list[bytes]:
        """Send a chunk through."""
        if self.before is None:
            return self.pipeline.stream(data)
        given = self.before(data)
        chunks = [chunk for chunk in ([given] if isinstance(given, bytes) else given) if chunk]
        return [out for chunk in (*chunks, *(() if data else (b"",))) for out in self.pipeline.stream(chunk)]


def _kind(message: http.Message) -> str:
    return "request" if isinstance(message, http.Request) else "response"


def _show(flow: http.HTTPFlow, message: http.Message) -> None:
    """Let the flow have the beginning of what was streamed, and say so if that is not all."""
    if message.raw_content is not None or not isinstance(message.stream, Stream):
        return
    preview = message.stream.preview
    message.raw_content = bytes(preview.kept)
    if not preview.whole:
        if isinstance(message, http.Request):
            flow.metadata[CUT] = len(preview.kept)
        kept, size = human.pretty_size(len(preview.kept)), human.pretty_size(preview.size)
        passed = f"of the {size} that passed, the first {kept} are kept to be looked at"
        trace.note(flow, Streaming.name, f"{_kind(message)} shown in part", passed)


def _is_cut(flow: http.HTTPFlow) -> bool:
    """Say whether a flow that is sent again lacks a part of its body; one that the user has edited does not."""
    content = flow.request.raw_content
    return flow.is_replay == "request" and content is not None and len(content) == flow.metadata.get(CUT)
