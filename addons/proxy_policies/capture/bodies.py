"""Bodies between the wire and the page: content codings undone on the way in, redone on the way out."""

from proxy_policies.capture import codings
from proxy_policies.capture.model import Body, Headers, header


def body_of(raw: bytes, headers: Headers) -> Body:
    """Return the body that was sent as `raw` with these fields."""
    content = codings.undo(raw, header(headers, "content-encoding"))
    if content is None or content == raw:
        return Body(raw)
    return Body(content, wire=raw)


def wire_of(body: Body, headers: Headers) -> bytes:
    """Return the octets to send: those recorded, or the content with its codings applied again."""
    if body.wire is not None:
        return body.wire
    encoded = codings.redo(body.content, header(headers, "content-encoding"))
    return body.content if encoded is None else encoded
