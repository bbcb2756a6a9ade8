"""Bodies in a HAR file: as text if possible, else in base64, and the encoded body if that differs.

`_wire` has a digest of its content, and is ignored if the text was edited. `_file`, as in Playwright, is the name of a
file with the content, beside the capture.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from proxy_policies.capture.har.json_cursor import JsonCursor
from proxy_policies.capture.har.line_framing import OneLine
from proxy_policies.capture.model import Body

Attach = Callable[[bytes], str]  # keeps content beside the capture and returns its file name
Fetch = Callable[[str], bytes]  # the reverse; raises OSError

_URL_SAFE = str.maketrans("-_", "+/")  # RFC 4648 section 5
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)


@lru_cache(256)  # media types repeat with every exchange
def charset(mime: str) -> str:
    """Return the charset of a media type; utf-8 if it has none, or Python does not know it."""
    found = _CHARSET.search(mime)
    name = found.group(1) if found else "utf-8"
    try:
        "".encode(name)
    except LookupError:
        return "utf-8"
    return name


def decode_text(content: bytes, mime: str) -> str | None:
    """Return the content as text; None if encoding that would not return the same bytes."""
    name = charset(mime)
    try:
        text = content.decode(name)
        return text if name == "utf-8" or text.encode(name) == content else None
    except (UnicodeError, LookupError):
        return None


def digest(content: bytes) -> str:
    """Return the short digest of content for `_wire`."""
    return hashlib.sha256(content).hexdigest()[:16]


def write_body(body: Body, mime: str, binary: str, attach: Attach | None = None) -> dict[str, Any]:
    """Return a body's HAR fields. `binary` is the field for base64: `encoding` in responses, `_data` in requests."""
    fields: dict[str, Any] = {"mimeType": mime, **_content(body.content, mime, binary, attach)}
    if body.wire is not None:
        fields["_wire"] = {"of": digest(body.content), "data": as_base64(body.wire)}
    if body.dropped:
        fields["_lost"] = body.dropped
    if body.sha256:
        fields["_sha256"] = body.sha256
    if body.cut:
        fields["_cut"] = body.cut
    if body.frame_times:
        fields["_frameTimes"] = OneLine(body.frame_times)
    return fields


def _content(content: bytes, mime: str, binary: str, attach: Attach | None) -> dict[str, Any]:
    if attach is not None:
        return {"text": "", "_file": attach(content)}
    text = decode_text(content, mime)
    if text is not None:
        return {"text": text}
    if binary == "encoding":
        return {"text": as_base64(content), "encoding": "base64"}
    return {"text": "", binary: as_base64(content)}


def read_body(cursor: JsonCursor, fetch: Fetch | None = None) -> Body:
    """Return the body at a HAR `content` or `postData` object. Raise CaptureError."""
    content = _read_content(cursor, fetch)
    wire = cursor["_wire"]
    return Body(
        content,
        wire=from_base64(wire["data"]) if wire.value is not None and wire["of"].text() == digest(content) else None,
        dropped=int(cursor["_lost"].number(0)) or _left_out(cursor),
        sha256=cursor["_sha256"].text(""),
        cut=cursor["_cut"].text(""),
        frame_times=tuple(item.number(0) for item in cursor["_frameTimes"]),
    )


def _left_out(cursor: JsonCursor) -> int:
    """Return the size of a body that is not in the file: browsers drop large ones, and some exports have none."""
    if any(cursor[name].value is not None for name in ("text", "_file", "_data")):
        return 0
    size = cursor["size"].value
    return int(size) if isinstance(size, int | float) and size > 0 else 0


def _read_content(cursor: JsonCursor, fetch: Fetch | None) -> bytes:
    if cursor["_file"].value is not None:
        return _fetched(cursor["_file"], fetch)
    if cursor["_data"].value is not None:
        return from_base64(cursor["_data"])
    text = cursor["text"].text("")
    if cursor["encoding"].text("").lower() == "base64":
        return from_base64(cursor["text"])
    try:
        return text.encode(charset(cursor["mimeType"].text("")))
    except UnicodeError:
        return as_bytes(text)


def as_bytes(text: str) -> bytes:
    """Return a text in UTF-8, of JSON, where surrogates may stand alone: for a byte that is none, or by mistake."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeError:
        return text.encode("utf-8", "surrogatepass")


def _fetched(cursor: JsonCursor, fetch: Fetch | None) -> bytes:
    name = cursor.text()
    try:
        return fetch(name) if fetch else b""
    except OSError as error:
        return cursor.mend(cursor.wrong(f"cannot read {name}: {error.strerror or error}"), b"")
    except ValueError as error:
        raise cursor.wrong(str(error)) from None


def as_base64(data: bytes) -> str:
    """Return the bytes in base64."""
    return base64.b64encode(data).decode("ascii")


def from_base64(cursor: JsonCursor) -> bytes:
    """Return the decoded base64 at a cursor, with or without line ends and padding. Raise CaptureError."""
    try:
        text = "".join(cursor.text("").split()).rstrip("=").translate(_URL_SAFE)
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return cursor.mend(cursor.wrong("not base64"), b"")
