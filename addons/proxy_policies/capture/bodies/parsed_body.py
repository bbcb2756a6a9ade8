"""Bodies parsed by their kind of content, in order to compare them."""

import hashlib
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from proxy_policies.capture.bodies.multipart import boundary_of, decoded, is_multipart, read_part
from proxy_policies.capture.har.body import decode_text
from proxy_policies.capture.json_text import document_of
from proxy_policies.capture.model import Body, Headers, header, media_type
from proxy_policies.capture.streams.events import to_document
from proxy_policies.capture.streams.frames import framing_of

MEDIA = ("image/", "video/", "audio/", "font/")
CONTROL_CHARACTER = re.compile("[\x00-\x08\x0e-\x1a\x1c\x1d\x1f]")
"""A character that texts do not have; colours begin with an escape (ECMA-48), JSON with RS (RFC 7464)."""
_SUMMARY = re.compile(rb"bytes \d{60,78}")
"""What is recorded of a part that was left out."""


class BodyKind(Enum):
    """How a body is compared."""

    EMPTY = "empty"
    JSON = "json"
    STREAM = "stream"
    FORM = "form"
    MULTIPART = "multipart"
    HTML = "html"
    TEXT = "text"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body's kind and value: a JSON document, pairs of a form, or a text; None for binary and empty bodies."""

    kind: BodyKind
    value: Any = None
    size: int = 0
    sha256: str = ""

    @property
    def is_document(self) -> bool:
        """Return whether the value is a document of objects and lists."""
        return self.kind in (BodyKind.JSON, BodyKind.STREAM)

    @property
    def is_structured(self) -> bool:
        """Return whether the body is compared as a document."""
        return self.is_document or self.kind in (BodyKind.FORM, BodyKind.MULTIPART)

    def document(self) -> Any:
        """Return the body as a document: the values of a form by name, the parts of a multipart body; else None."""
        if self.kind is BodyKind.FORM:
            values: dict[str, list[str]] = {}
            for name, value in self.value:
                values.setdefault(name, []).append(value)
            return values
        if self.kind is BodyKind.MULTIPART:
            return {"parts": [{"name": name, "head": head, "content": content} for name, head, content in self.value]}
        return self.value if self.is_document else None

    def canonical(self) -> Any:
        """Return a JSON value that is equal for equivalent bodies: pairs are sorted, binary data hashed."""
        if self.kind is BodyKind.FORM:
            return sorted(self.value)
        return _digits(self.sha256) if self.kind is BodyKind.BYTES else self.value


def _digits(sha256: str) -> str:
    """Return a hash as a decimal number, which is not masked as a dynamic value."""
    return f"bytes {int(sha256, 16)}"


def parse(body: Body, headers: Headers) -> Parsed:
    """Return a body parsed by its media type, or without one by its content."""
    content_type = header(headers, "content-type") or ""
    framing = None if body.dropped else framing_of(body.content, content_type)
    if framing is not None and (body.content or body.cut):
        return Parsed(BodyKind.STREAM, to_document(body.content, framing, body.cut))
    if not (body.content or body.dropped):
        return Parsed(BodyKind.EMPTY)
    mime = media_type(headers)
    if mime.startswith("multipart/") and (not body.dropped or is_multipart(body.content, content_type)):
        return Parsed(BodyKind.MULTIPART, _parts(body.content, content_type))
    text = None if body.dropped else decode_text(body.content, content_type)
    return _binary(body) if text is None or is_media(mime) else _text(text, mime)


@lru_cache(256)  # media types repeat with every exchange
def is_media(mime: str) -> bool:
    """Return whether a media type is that of pictures, sounds, films or fonts in binary form."""
    kind = mime.lower()
    return kind.startswith(MEDIA) and "svg" not in kind


def _binary(body: Body) -> Parsed:
    digest = body.sha256 or hashlib.sha256(body.content).hexdigest()
    return Parsed(BodyKind.BYTES, None, len(body.content) + body.dropped, digest)


def _text(text: str, mime: str) -> Parsed:
    if mime == "application/x-www-form-urlencoded":
        return Parsed(BodyKind.FORM, [list(pair) for pair in form_pairs(text)])
    if "json" in mime or text.lstrip()[:1] in ("{", "["):
        try:
            return Parsed(BodyKind.JSON, document_of(text))
        except ValueError:
            pass
    if "html" in mime:
        return Parsed(BodyKind.HTML, text)
    return Parsed(BodyKind.TEXT, text)


def form_pairs(text: str) -> list[tuple[str, str]]:
    """Return the pairs of a form or a query; bytes that are not UTF-8 stay different."""
    return parse_qsl(text, keep_blank_values=True, errors="backslashreplace")


_NAME = re.compile(r"(?mi)^[ \t]*+content-disposition:[^\r\n]*?\bname=(?:\"([^\"\r\n]*)\"|([^\s;\"]+))")


def _parts(content: bytes, content_type: str) -> list[list[str]]:
    """Return the parts of a multipart body: name, head, and text or hash. The boundary is left out, as it is random."""
    boundary = boundary_of(content, content_type)
    if not boundary:
        return [["", "", _content_of(content)]]
    _, *pieces = content.split(b"--" + boundary)
    is_closed = bool(pieces) and pieces[-1].startswith(b"--")
    found = [_part(piece) for piece in (pieces[:-1] if is_closed else pieces)]
    return found if is_closed else [*found, ["", "", "no closing delimiter"]]


def _part(piece: bytes) -> list[str]:
    part = read_part(piece)
    if part is None:
        return ["", "", _content_of(piece.strip())]
    head = part.head.decode("utf-8", "replace").strip()
    named = _NAME.search(head)
    name = (named[1] or named[2] or "") if named else ""
    return [name, head, _content_of(part.content, part.media_type, part.transfer_encoding)]


def _content_of(content: bytes, mime: str = "", encoding: str = "") -> str:
    text = decode_text(content, "")
    if text is not None and (is_summary(content) or not _is_data(decoded(content, encoding), mime)):
        return text
    return summary_of(content)


def _is_data(content: bytes, mime: str) -> bool:
    text = decode_text(content, "")
    return text is None or is_media(mime) or CONTROL_CHARACTER.search(text) is not None


def summary_of(content: bytes) -> str:
    """Return what a binary part of a multipart body is compared by, also if it was left out: its hash."""
    return _digits(hashlib.sha256(content).hexdigest())


def is_summary(content: bytes) -> bool:
    """Return whether the content of a part is what is recorded of one that was left out."""
    return _SUMMARY.fullmatch(content) is not None
