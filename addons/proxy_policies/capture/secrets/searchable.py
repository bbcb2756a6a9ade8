"""Tell which content has a text to search for secrets, and in which charset."""

import hashlib
import re
from dataclasses import replace
from functools import lru_cache

from proxy_policies.capture.bodies.multipart import (
    MultipartPart,
    decoded,
    is_form_data,
    is_multipart,
    map_parts,
    parts_of,
)
from proxy_policies.capture.bodies.parsed_body import CONTROL_CHARACTER, is_media, is_summary, summary_of
from proxy_policies.capture.har.body import charset, decode_text
from proxy_policies.capture.model import HEADS, SMALL, Body, Entry, Headers, WebSocketMessage, header
from proxy_policies.capture.streams.events import rewrite_binary
from proxy_policies.decoding import codings_of

_TEXT_TYPE = re.compile(r"text/|(?<!ub)json|\b(?:xml|javascript|x-www-form-urlencoded)\b", re.IGNORECASE)
"""JSON5, GeoJSON and the like are texts, UBJSON is none."""
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
"""Byte order marks of UTF-16 (RFC 2781 section 3.2), which override the declared charset."""


def is_binary(content: bytes, mime: str) -> bool:
    """Return whether content has no text to search."""
    return is_media(mime) or (content.find(0, 0, 4096) >= 0 and not _is_text(content, mime))


def _is_text(content: bytes, mime: str) -> bool:
    """Return whether content with a NUL is a text, by its media type or a charset with 2 or 4 bytes per character."""
    name = codec_of(content, mime)
    is_declared = name.startswith(("utf-16", "utf-32")) or _is_text_type(mime)
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
    is_encoded, mime = _content_fields(headers)
    if body.dropped and not is_multipart(body.content, mime):
        return "cut"
    if is_encoded and not body.dropped and body.wire in (None, body.content):
        return "coding"
    is_small = len(body.content) <= SMALL
    return "binary" if (_is_known_binary if is_small else _has_binary_data)(body.content, mime) else ""


def without_unsearched(body: Body, mime: str) -> Body:
    """Return a body without content, or a multipart one without its binary parts; with its size and hash."""
    parts = map_parts(body.content, mime, _without_data) if is_multipart(body.content, mime) else b""
    content = parts if parts != body.content else b""
    digest = body.sha256 or hashlib.sha256(body.content).hexdigest()
    return Body(content, dropped=body.dropped + max(1, len(body.content) - len(content)), sha256=digest)


def _without_data(part: MultipartPart) -> bytes:
    return summary_of(part.content).encode() if is_binary_part(part) else part.content


def has_unsearched_message(entry: Entry) -> bool:
    """Return whether a WebSocket message cannot be searched, or was left out for it."""
    return any(message.dropped or _is_unsearched(message) for message in entry.messages)


def without_unsearched_messages(entry: Entry) -> Entry:
    """Return an entry without the content of WebSocket messages that cannot be searched."""
    messages = [
        replace(message, data=b"", dropped=len(message.data)) if _is_unsearched(message) else message
        for message in entry.messages
    ]
    return replace(entry, messages=tuple(messages))


def _is_unsearched(message: WebSocketMessage) -> bool:
    return not message.text and _has_binary_data(message.data, "")


@lru_cache(HEADS)
def _content_fields(headers: Headers) -> tuple[bool, str]:
    """Return whether fields declare a content coding, and the media type."""
    coding = header(headers, "content-encoding")
    is_encoded = coding is not None and codings_of(coding) not in ([], ["identity"])
    return is_encoded, header(headers, "content-type") or ""


def _has_binary_data(content: bytes, mime: str) -> bool:
    """Return whether content, or a part of it, is no text."""
    if mime.lower().startswith("multipart/") or is_form_data(content):
        return any(map(is_binary_part, parts_of(content, mime)))
    return _is_no_text(content, mime)


def is_binary_part(part: MultipartPart) -> bool:
    """Return whether a part of a multipart body has no text to search, and was not left out for it."""
    if is_summary(part.content):
        return False
    return _is_no_text(decoded(part.content, part.transfer_encoding), part.media_type)


_is_known_binary = lru_cache(HEADS)(_has_binary_data)  # the same bodies come again, and from origin and proxy


def _is_no_text(content: bytes, mime: str) -> bool:
    """Return whether content is no text; what is declared as one, and can mostly be read, is searched all the same."""
    if is_binary(content, mime):
        return True
    if _is_text_type(mime) or rewrite_binary(content, mime, str) is not None:
        return False
    text = decode_text(content, f"; charset={codec_of(content, mime)}")
    return text is None or CONTROL_CHARACTER.search(text) is not None


@lru_cache(256)  # media types repeat with every exchange
def _is_text_type(mime: str) -> bool:
    return _TEXT_TYPE.search(mime) is not None
