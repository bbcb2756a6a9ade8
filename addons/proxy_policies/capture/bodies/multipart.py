"""The boundary and the parts of a multipart body (RFC 2046, section 5.1; RFC 7578). Pure."""

import re
from collections.abc import Iterator

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_FIRST_LINE = re.compile(rb"\s*--([^\r\n]{1,200})\r?\n")
_FORM = re.compile(rb"--(?=[^\r\n]{0,199}\S)([^\r\n]{1,200})\r?\ncontent-[^\r\n]{0,400}form-data;", re.IGNORECASE)

_HEAD_END = re.compile(rb"\r?\n\r?\n")
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


def parts_of(content: bytes, mime: str) -> Iterator[tuple[str, bytes]]:
    """Yield the media type, empty if it has none, and the content of each part."""
    boundary = boundary_of(content, mime)
    for part in content.split(b"--" + boundary)[1:] if boundary else ():
        if (end := _HEAD_END.search(part)) is not None:
            declared = _TYPE.search(part, 0, end.start())
            yield (
                declared[1].decode("latin-1") if declared else "",
                part[end.end() :].removesuffix(b"\n").removesuffix(b"\r"),
            )
