"""Tell which content has a text to search for secrets, and in which charset."""

from functools import lru_cache

from proxy_policies.capture.har.body import charset, decode_text
from proxy_policies.capture.model import HEADS, Body, Headers, header
from proxy_policies.capture.streams.events import rewrite_binary
from proxy_policies.decoding import codings_of

BINARY = ("image/", "video/", "audio/", "font/")
_BINARY_FORMATS = ("msgpack", "cbor", "octet-stream", "protobuf", "zip", "gzip", "pdf", "wasm", "avro", "thrift")
"""Binary formats, whose texts are searched for shapes only."""
_TEXT_TYPES = ("text/", "json", "xml", "javascript", "form-urlencoded")
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
"""Byte order marks of UTF-16 (RFC 2781 section 3.2), which override the declared charset."""


def is_binary(content: bytes, mime: str) -> bool:
    """Return whether content has no text to search."""
    return _binary_kind(mime)[0] or (content.find(0, 0, 4096) >= 0 and not _is_text(content, mime))


def _is_text(content: bytes, mime: str) -> bool:
    """Return whether content with a NUL is a text, by its media type or a charset with 2 or 4 bytes per character."""
    name = codec_of(content, mime)
    is_declared = name.startswith(("utf-16", "utf-32")) or any(part in mime.lower() for part in _TEXT_TYPES)
    return is_declared and decode_text(content, f"; charset={name}") is not None


def codec_of(content: bytes, mime: str) -> str:
    """Return the name of a codec that keeps a text's byte order mark and adds none."""
    name = _UTF16.get(content[:2], charset(mime)).lower().replace("_", "-")
    if name in ("utf-16", "utf16"):
        return "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    return name


def unsearched_reason(body: Body, headers: Headers) -> str:
    """Return why a body cannot be searched as a whole: `cut`, `coding`, `binary`; empty if it can."""
    if not body.content:
        return ""
    if body.dropped:
        return "cut"
    is_encoded, mime = _content_fields(headers)
    if is_encoded and body.wire in (None, body.content):
        return "coding"
    return "binary" if _has_binary_data(body.content, mime) and not mime.lower().startswith("multipart/") else ""


@lru_cache(HEADS)
def _content_fields(headers: Headers) -> tuple[bool, str]:
    """Return whether fields declare a content coding, and the media type."""
    coding = header(headers, "content-encoding")
    is_encoded = coding is not None and codings_of(coding) not in ([], ["identity"])
    return is_encoded, header(headers, "content-type") or ""


def _has_binary_data(content: bytes, mime: str) -> bool:
    is_binary_type, is_binary_format = _binary_kind(mime)
    if is_binary_type or (content.find(0, 0, 4096) >= 0 and not _is_text(content, mime)):
        return True
    return is_binary_format and not content.isascii() and rewrite_binary(content, mime, str) is None


@lru_cache(256)  # media types repeat with every exchange
def _binary_kind(mime: str) -> tuple[bool, bool]:
    """Return whether a media type is that of an image or the like, and whether it is that of a binary format."""
    kind = mime.lower()
    return kind.startswith(BINARY) and "svg" not in kind, any(name in kind for name in _BINARY_FORMATS)
