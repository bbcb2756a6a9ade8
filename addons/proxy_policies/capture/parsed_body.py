"""What kind of content a body is, and the content in a form that can be compared."""

import hashlib
import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

from proxy_policies.capture.har.body import as_text
from proxy_policies.capture.model import Body, Headers, header, media_type


class BodyKind(Enum):
    """How a body is compared."""

    EMPTY = "empty"
    JSON = "json"
    FORM = "form"
    MULTIPART = "multipart"
    HTML = "html"
    TEXT = "text"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body's kind and value: JSON's value, a form's pairs, a text, or None for octets and nothing."""

    kind: BodyKind
    value: Any = None
    size: int = 0
    sha256: str = ""

    def canonical(self) -> Any:
        """Return a JSON-safe form in which what means the same is the same: pairs sorted, octets hashed."""
        if self.kind is BodyKind.FORM:
            return sorted(self.value)
        return self.sha256 if self.kind is BodyKind.BYTES else self.value


def parse(body: Body, headers: Headers) -> Parsed:
    """Parse a body by its media type, or by its looks when that says nothing."""
    if not body.content:
        return Parsed(BodyKind.EMPTY)
    mime = media_type(headers)
    text = None if body.dropped else as_text(body.content, header(headers, "content-type") or "")
    if text is None or (mime and mime.startswith(("image/", "video/", "audio/", "font/")) and "svg" not in mime):
        return _octets(body)
    return _text(text, mime, header(headers, "content-type") or "")


def _octets(body: Body) -> Parsed:
    digest = body.sha256 or hashlib.sha256(body.content).hexdigest()
    return Parsed(BodyKind.BYTES, None, len(body.content) + body.dropped, digest)


def _text(text: str, mime: str, content_type: str) -> Parsed:
    if mime == "application/x-www-form-urlencoded":
        return Parsed(BodyKind.FORM, [list(pair) for pair in parse_qsl(text, keep_blank_values=True)])
    if mime.startswith("multipart/"):
        return Parsed(BodyKind.MULTIPART, _parts(text, content_type))
    if "json" in mime or text.lstrip()[:1] in ("{", "["):
        try:
            return Parsed(BodyKind.JSON, json.loads(text))
        except (ValueError, RecursionError):
            pass
    if "html" in mime:
        return Parsed(BodyKind.HTML, text)
    return Parsed(BodyKind.TEXT, text)


_BOUNDARY = re.compile(r'boundary="?([^";]+)', re.IGNORECASE)


def _parts(text: str, content_type: str) -> list[str]:
    """Return the parts of a multipart body without their boundary, which differs every time (RFC 2046 section 5.1)."""
    found = _BOUNDARY.search(content_type)
    if not found:
        return [text]
    return [part.strip("\r\n") for part in text.split(f"--{found[1]}")[1:] if part.strip() != "--"]
