"""Secrets in multipart bodies (RFC 2046 section 5.1, RFC 7578), octet by octet: binary parts stay beside the others."""

import re
from collections.abc import Callable

from proxy_policies.capture.secrets.decide import Decider

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_FIRST_LINE = re.compile(rb"\s*--([^\r\n]{1,200})\r?\n")
_FORM = re.compile(rb"--([^\r\n]{1,200})\r?\ncontent-[^\r\n]{0,400}form-data;", re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_NAME = re.compile(
    rb'^[ \t]*+content-disposition\s*:[^\r\n]*?\bname\s*(?:=\s*|\*\s*=\s*utf-8\'[\w-]*\')(?:"([^"\r\n]*)"|([^\s;"]+))',
    re.IGNORECASE | re.MULTILINE,
)
_TYPE = re.compile(rb"content-type\s*:\s*([^\r\n]+)", re.IGNORECASE)

type Content = Callable[[bytes, str], bytes]
"""Returns the content of a media type without its secrets."""


def is_form_data(content: bytes) -> bool:
    """Return whether content is a multipart form, whatever it is called."""
    return b"form-data;" in content and _FORM.search(content) is not None


def in_multipart(content: bytes, mime: str, decider: Decider, inner: Content) -> bytes:
    """Replace secrets in each part: in a field by its name, and in what a part holds by its type."""
    boundary = boundary_of(content, mime)
    if not boundary:
        return content
    first, *parts = content.split(b"--" + boundary)
    return (b"--" + boundary).join([first, *(_part(part, decider, inner) for part in parts)])


def boundary_of(content: bytes, mime: str) -> bytes:
    """Return the boundary that the media type says, or else the first line; empty when there is none."""
    found = _BOUNDARY.search(mime)
    named = (found[1] or found[2]).encode("utf-8", "replace") if found else b""
    if named and named in content:
        return named
    first = _FORM.search(content) or _FIRST_LINE.match(content)
    return first[1].strip() if first else b""


def _part(part: bytes, decider: Decider, inner: Content) -> bytes:
    end = _HEAD_END.search(part)
    if end is None:
        return part
    head, body = part[: end.end()], part[end.end() :]
    rest = next((tail for tail in (b"\r\n", b"\n") if body.endswith(tail)), b"")
    body = body.removesuffix(rest)
    mime = _TYPE.search(head)
    return head + _value(_name_of(head), body, mime[1].decode("latin-1") if mime else "", decider, inner) + rest


def _name_of(head: bytes) -> str:
    found = _NAME.search(head)
    return (found[1] or found[2] or b"").decode("utf-8", "surrogateescape") if found else ""


def _value(name: str, body: bytes, mime: str, decider: Decider, inner: Content) -> bytes:
    text = body.decode("utf-8", "surrogateescape")
    replaced = decider.replace(name, text)
    return inner(body, mime) if replaced == text else replaced.encode("utf-8", "surrogateescape")
