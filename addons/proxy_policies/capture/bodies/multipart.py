"""The boundary and the parts of a multipart body (RFC 2046, section 5.1; RFC 7578). Pure."""

import binascii
import quopri
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_FIRST_LINE = re.compile(rb"\s*--([^\r\n]{1,200})\r?\n")
_FORM = re.compile(rb"--(?=[^\r\n]{0,199}\S)([^\r\n]{1,200})\r?\ncontent-[^\r\n]{0,400}form-data;", re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_ENCODING = re.compile(rb"content-transfer-encoding\s*:\s*([\w-]+)", re.IGNORECASE)
_TYPE = re.compile(rb"content-type\s*:\s*([^\r\n]+)", re.IGNORECASE)


def is_form_data(content: bytes) -> bool:
    """Return whether content is a multipart form, whatever its media type."""
    return b"form-data;" in content and _FORM.search(content) is not None


def boundary_of(content: bytes, mime: str) -> bytes:
    """Return the boundary of the media type, or else of the first line; empty if there is none."""
    found = _BOUNDARY.search(mime)
    named = (found[1] or found[2]).encode("utf-8", "replace") if found else b""
    if named and named in content:
        return named
    first = _FORM.search(content) or _FIRST_LINE.match(content)
    return first[1].rstrip() if first else b""


def decoded(content: bytes, encoding: str) -> bytes:
    """Return content without its transfer encoding (RFC 2045 section 6); unchanged if it is invalid or has another."""
    if encoding == "quoted-printable":
        return quopri.decodestring(content)
    try:
        return b64decode(content) if encoding == "base64" else content
    except binascii.Error:
        return content


@dataclass(frozen=True, slots=True)
class MultipartPart:
    """A part: its head, up to the blank line, its content, and the line end before the next delimiter."""

    head: bytes
    content: bytes
    line_end: bytes

    @property
    def media_type(self) -> str:
        """The declared media type with its parameters; empty if there is none."""
        declared = _TYPE.search(self.head)
        return declared[1].decode("latin-1") if declared else ""

    @property
    def transfer_encoding(self) -> str:
        """The declared encoding of the content, in lower case; empty if there is none."""
        declared = _ENCODING.search(self.head)
        return declared[1].decode("latin-1").lower() if declared else ""


def read_part(part: bytes) -> MultipartPart | None:
    """Return what is between two delimiters as a part; None if it has no head."""
    end = _HEAD_END.search(part)
    if end is None:
        return None
    line_end = next((tail for tail in (b"\r\n", b"\n") if part.endswith(tail, end.end())), b"")
    return MultipartPart(part[: end.end()], part[end.end() :].removesuffix(line_end), line_end)


def map_parts(
    content: bytes,
    mime: str,
    change: Callable[[MultipartPart], bytes],
    change_first: Callable[[bytes], bytes] = lambda first: first,
) -> bytes:
    """Return a body with its parts changed, and what is before the first delimiter; without a boundary, that is all."""
    boundary = boundary_of(content, mime)
    first, *parts = content.split(b"--" + boundary) if boundary else [content]

    def changed(piece: bytes) -> bytes:
        part = read_part(piece)
        return piece if part is None else part.head + change(part) + part.line_end

    return (b"--" + boundary).join([change_first(first), *map(changed, parts)])


def is_multipart(content: bytes, mime: str) -> bool:
    """Return whether content is a multipart body that ends with its closing delimiter, as a truncated one does not."""
    boundary = boundary_of(content, mime) if mime.lower().startswith("multipart/") else b""
    return bool(boundary) and content.rstrip().endswith(b"--" + boundary + b"--")


def parts_of(content: bytes, mime: str) -> Iterator[MultipartPart]:
    """Yield the parts of a body."""
    boundary = boundary_of(content, mime)
    pieces = content.split(b"--" + boundary)[1:] if boundary else ()
    yield from filter(None, map(read_part, pieces))
