"""The one owner of `.stream`: decides which bodies are streamed, and sends all of them through their pipelines.

Small bodies of known length stay buffered, so that mitmproxy's own modify_body
and intercept, and other people's addons, find their content. What is large, of
unknown length or endless is streamed: memory does not grow with a body's size.
"""

from mitmproxy import ctx, http
from mitmproxy.addonmanager import traverse

from proxy_policies import exchange
from proxy_policies.body import Pipeline, Preview, Stage

BUFFER_LIMIT = 1024 * 1024
"""Bodies over this many bytes are streamed: mitmproxy copies a buffered one about twice."""
ENDLESS = ("text/event-stream", "application/x-ndjson", "multipart/x-mixed-replace", "application/grpc")
"""Media types that are sent bit by bit, and whose bits are wanted at once."""


def declared_length(message: http.Message) -> int | None:
    """Read Content-Length, bytes; None when the length is not known beforehand."""
    if "transfer-encoding" in message.headers:
        return None
    text = message.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def is_endless(message: http.Message) -> bool:
    """Say whether the media type is one whose bits are wanted as they come."""
    media_type: str = message.headers.get("content-type", "")
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
    parts = list(traverse([script]))
    return not any(isinstance(part, Streaming) for part in parts) and any(hasattr(part, hook) for part in parts)


class Streaming:
    """Last in the chain: decides what is streamed, and sends buffered bodies through their pipelines."""

    name = "streaming"

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Stream a large upload. Never one that has its answer already, or whose answer depends on all of it."""
        if flow.response or flow.error or exchange.of(flow).whole:
            return
        length = declared_length(flow.request)
        chunked = "transfer-encoding" in flow.request.headers or flow.request.http_version == "HTTP/2.0"
        large = length > BUFFER_LIMIT if length is not None else chunked
        if flow.request.stream or (large and not wanted_whole("request")):
            self._stream(flow.request, exchange.of(flow).request_body)

    async def request(self, flow: http.HTTPFlow) -> None:
        """Send a buffered upload through its pipeline, or show what passed of a streamed one."""
        await self._complete(flow.request, exchange.of(flow).request_body)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream what is large, of unknown length or endless. What an addon answers is sent whole."""
        response, known = flow.response, exchange.of(flow)
        if response is None or known.origin is None:
            return
        length = declared_length(response)
        large = length is None or length > BUFFER_LIMIT
        if response.stream or is_endless(response) or (large and not wanted_whole("response")):
            self._stream(response, known.response_body)

    async def response(self, flow: http.HTTPFlow) -> None:
        """Send a buffered download through its pipeline, or show what passed of a streamed one."""
        if flow.response is not None:
            await self._complete(flow.response, exchange.of(flow).response_body)

    def error(self, flow: http.HTTPFlow) -> None:
        """Tell the taps that the exchange broke off."""
        known = exchange.of(flow)
        known.request_body.abort()
        known.response_body.abort()

    def _stream(self, message: http.Message, pipeline: Pipeline) -> None:
        preview = Preview()
        pipeline.tap(Stage.PREVIEW, preview)
        message.stream = _Stream(pipeline, preview)
        if pipeline.transforms:
            message.headers.pop("content-length", None)

    async def _complete(self, message: http.Message, pipeline: Pipeline) -> None:
        if message.raw_content is None and isinstance(message.stream, _Stream):
            message.raw_content = bytes(message.stream.preview.kept)
        if not pipeline or pipeline.is_over or message.raw_content is None:
            return
        changes = pipeline.transforms
        body = await pipeline.run(message.raw_content)
        if changes:
            message.raw_content = body
            message.headers.pop("transfer-encoding", None)
            message.headers["content-length"] = str(len(body))


class _Stream:
    """What mitmproxy calls with each chunk."""

    __slots__ = ("pipeline", "preview")

    def __init__(self, pipeline: Pipeline, preview: Preview) -> None:
        self.pipeline = pipeline
        self.preview = preview

    def __call__(self, data: bytes) -> list[bytes]:
        return self.pipeline.stream(data)
