"""Redact multipart bodies (RFC 2046 section 5.1, RFC 7578) as bytes, so that binary parts are unchanged."""

import quopri
import re
from base64 import b64encode, encodebytes
from collections.abc import Callable

from proxy_policies.capture.bodies.multipart import MultipartPart, decoded, map_parts
from proxy_policies.capture.secrets.decider import Decider

_NAME = re.compile(
    rb'^[ \t]*+content-disposition\s*:[^\r\n]*?\bname\s*(?:=\s*|\*\s*=\s*utf-8\'[\w-]*\')(?:"([^"\r\n]*)"|([^\s;"]+))',
    re.IGNORECASE | re.MULTILINE,
)
_SOFT_BREAK = re.compile(r"[^\s=]=\r?\n")

type RedactContent = Callable[[bytes, str], bytes]
"""Function that returns content of a media type without secrets."""


def in_multipart(content: bytes, mime: str, decider: Decider, redact_content: RedactContent) -> bytes:
    """Replace secrets in each part: a field by its name, other content by its media type."""

    def part(read: MultipartPart) -> bytes:
        def value(body: bytes) -> bytes:
            return _value(_name_of(read.head), body, read.media_type, decider, redact_content)

        return _redact_encoded(read.content, read.transfer_encoding, value)

    return map_parts(content, mime, part, lambda first: redact_content(first, "") if first else first)


def _redact_encoded(body: bytes, encoding: str, redact: Callable[[bytes], bytes]) -> bytes:
    """Return an encoded body with `redact` applied to its content."""
    plain = decoded(body, encoding)
    if (replaced := redact(plain)) == plain:
        return body
    if plain is body:  # it is not encoded
        return replaced
    if encoding == "quoted-printable":
        return quopri.encodestring(replaced)
    return encodebytes(replaced) if b"\n" in body else b64encode(replaced)


def in_quoted_printable(text: str, redact: Callable[[str], str]) -> str:
    """Return a text with `redact` applied to its decoded text if it is quoted-printable (RFC 2045 section 6.7)."""
    if "=3D" not in text or _SOFT_BREAK.search(text) is None:
        return text
    plain = quopri.decodestring(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
    replaced = redact(plain)
    return text if replaced == plain else quopri.encodestring(replaced.encode("utf-8", "surrogateescape")).decode()


def _name_of(head: bytes) -> str:
    found = _NAME.search(head)
    return (found[1] or found[2] or b"").decode("utf-8", "surrogateescape") if found else ""


def _value(name: str, body: bytes, mime: str, decider: Decider, redact_content: RedactContent) -> bytes:
    text = body.decode("utf-8", "surrogateescape")
    replaced = decider.replace(name, text)
    return redact_content(body, mime) if replaced == text else replaced.encode("utf-8", "surrogateescape")
