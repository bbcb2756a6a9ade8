"""Secrets in multipart bodies (RFC 2046 section 5.1, RFC 7578), octet by octet: binary parts stay beside the others."""

import re
from collections.abc import Callable

from proxy_policies.capture.multipart import boundary_of
from proxy_policies.capture.secrets.decide import Decider

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_NAME = re.compile(
    rb'^[ \t]*+content-disposition\s*:[^\r\n]*?\bname\s*(?:=\s*|\*\s*=\s*utf-8\'[\w-]*\')(?:"([^"\r\n]*)"|([^\s;"]+))',
    re.IGNORECASE | re.MULTILINE,
)
_TYPE = re.compile(rb"content-type\s*:\s*([^\r\n]+)", re.IGNORECASE)

type Content = Callable[[bytes, str], bytes]
"""Returns the content of a media type without its secrets."""


def in_multipart(content: bytes, mime: str, decider: Decider, inner: Content) -> bytes:
    """Replace secrets in each part: in a field by its name, and in what a part holds by its type."""
    boundary = boundary_of(content, mime)
    if not boundary:
        return content
    first, *parts = content.split(b"--" + boundary)
    return (b"--" + boundary).join([first, *(_part(part, decider, inner) for part in parts)])


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
