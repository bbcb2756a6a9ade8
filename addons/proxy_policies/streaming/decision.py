"""Which bodies are streamed, and why.

Small bodies of known length are buffered, so that mitmproxy's own modify_body and intercept, and users' addons, find
their content. Bodies that are large, of unknown length or endless are streamed: memory does not grow with their size.
"""

from functools import lru_cache

from mitmproxy import ctx, http
from mitmproxy.addonmanager import traverse

from proxy_policies.fields import Fields, fields_of, media_type_of, parse_length
from proxy_policies.flows import flow_state
from proxy_policies.http1.framing import has_no_body
from proxy_policies.settings import Settings
from proxy_policies.streaming.stream import Stream

BUFFER_LIMIT = 1024 * 1024
"""Bodies over this many bytes are streamed: mitmproxy copies a buffered body about twice."""
BUFFERED_FOR = 10.0
"""Seconds after which a body of unknown length is streamed even if an addon needs it whole, if less than 1 MiB has
arrived: it trickles, and may never end. Far longer than a page takes, and half the time after which people give up."""
STREAMING_MEDIA_TYPES = ("text/event-stream", "application/x-ndjson", "multipart/x-mixed-replace", "application/grpc")
"""Media types that are sent in parts, each of which the client needs at once."""
WITHOUT_CONTENT = ("GET", "HEAD", "DELETE", "OPTIONS", "TRACE")
"""Methods whose requests usually have no content (RFC 9110, section 9.3); HTTP/2 and 3 do not declare it beforehand."""


def known_length(message: http.Message) -> int | None:
    """Return Content-Length in bytes; None if the length is not known beforehand."""
    return _length_in(fields_of(message.data.headers))


def _length_in(fields: Fields) -> int | None:
    return None if "transfer-encoding" in fields else parse_length(fields.get("content-length"))


def is_endless(message: http.Message) -> bool:
    """Return whether a message has a media type whose parts the receiver needs as they arrive."""
    return _is_streaming_type(fields_of(message.data.headers).get("content-type") or "")


@lru_cache(maxsize=256)
def _is_streaming_type(content_type: str) -> bool:
    return media_type_of(content_type).startswith(STREAMING_MEDIA_TYPES)


def length_of(flow: http.HTTPFlow, response: http.Response) -> int | None:
    """Return the size of a response's body in bytes, of its content or else as declared; None if unknown."""
    content, state = response.data.content, flow_state.state_of(flow)
    is_elsewhere = content is None or (state.source is not None and comes_from_source(state, response))
    if content is None or is_elsewhere or has_no_body(flow.request.method, response.data.status_code):
        return known_length(response)
    return len(content)


def comes_from_source(state: flow_state.FlowState, response: http.Response) -> bool:
    """Return whether a stored body is read as it is sent, and no addon has replaced it.

    If there is an origin's response, the stored body replaces its content.
    """
    return state.source is not None and (state.origin is not None or not response.raw_content)


def size_beyond(flow: http.HTTPFlow, message: http.Message) -> int | None:
    """Return the size of a body that passes, or has passed, if the flow does not have all of it; else None."""
    if isinstance(message.stream, Stream):
        return message.stream.passed_size
    state = flow_state.state_of(flow)
    is_stored = isinstance(message, http.Response) and state.source is not None and comes_from_source(state, message)
    return known_length(message) if is_stored else None


def is_sent_in_pieces(flow: http.HTTPFlow) -> bool:
    """Return whether a response's head, in its present state, is sent before its body is complete."""
    response, state = flow.response, flow_state.state_of(flow)
    if response is None:
        return False
    is_ours = isinstance(response.stream, Stream) or (state.source is not None and comes_from_source(state, response))
    from_origin = state.origin is not None and response.data.content is None and not state.is_awaited_whole
    is_streamed = is_ours or (from_origin and bool(reason_to_stream_response(response)))
    return is_streamed and not has_no_body(flow.request.method, response.data.status_code)


def reason_to_stream_request(request: http.Request) -> str:
    """Return why an upload must be streamed; "" if it need not be."""
    if request.stream:
        return "so asked"
    fields = fields_of(request.data.headers)
    length = _length_in(fields)
    has_content = (request.is_http2 or request.is_http3) and request.method not in WITHOUT_CONTENT
    chunked = has_content or "transfer-encoding" in fields
    if chunked and is_endless(request):
        return "its parts are needed as they arrive"
    is_long = (chunked and not is_limited()) if length is None else length > BUFFER_LIMIT
    if not is_long or must_buffer("request"):
        return ""
    return "its length is not known" if length is None else "over 1 MiB"


def reason_to_stream_response(response: http.Response) -> str:
    """Return why a download must be streamed; "" if it need not be."""
    if response.stream:
        return "so asked"
    fields = fields_of(response.data.headers)
    if _is_streaming_type(fields.get("content-type") or ""):
        return "its parts are needed as they arrive"
    length = _length_in(fields)
    is_long = not is_limited() if length is None else length > BUFFER_LIMIT
    if not is_long or must_buffer("response"):
        return ""
    return "its length is not known" if length is None else "over 1 MiB"


def must_buffer(hook: str) -> bool:
    """Return whether mitmproxy's options or another script need whole bodies before they are sent."""
    options = ctx.options
    if options.modify_body or options.server_replay:
        return True
    if getattr(options, "intercept", None) and options.intercept_active:
        return True
    loader = ctx.master.addons.get("scriptloader")
    return loader is not None and any(_is_foreign(script, hook) for script in loader.addons)


def is_limited() -> bool:
    """Return whether `body_size_limit` is set: mitmproxy applies it to declared lengths and to buffered bodies."""
    return ctx.options.body_size_limit is not None


def _is_foreign(script: object, hook: str) -> bool:
    """Return whether a script that is not one of ours has this hook."""
    parts = list(traverse([script]))
    return not any(isinstance(part, Settings) for part in parts) and any(hasattr(part, hook) for part in parts)
