"""What a client asked for, as it wrote it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, Self

LONGEST_TEXT = 2048
"""Bytes that are kept of each text of a client's: what was long for a URL once, and bounds what waits to be written."""
LONGEST_TRACEPARENT = 128
"""Bytes of the one field that is not cut: of version 00 it has 55, and later ones may be longer."""
_PARTIAL = re.compile(rb"[^/?&=;#, ]*\Z")
"""What may be the beginning of a token, which would not be recognised any more."""


class Asked(NamedTuple):
    """A request line, and the fields that say which client asks for what."""

    method: bytes = b""
    """Empty where what came was no request."""
    target: bytes = b""
    """In the form in which it came: absolute to a proxy, else a path (RFC 9112, section 3.2); of a tunnel host:port."""
    version: bytes = b""
    """Empty where nobody asked in HTTP."""
    host: bytes = b""
    referer: bytes = b""
    user_agent: bytes = b""
    traceparent: bytes = b""
    """The client's place in a trace (W3C Trace Context)."""

    @classmethod
    def of(cls, method: bytes, target: bytes, version: bytes, fields: Iterable[tuple[bytes, bytes]]) -> Self:
        """Return what was asked for, and what is of interest of the fields; long texts are cut."""
        host = referer = user_agent = traceparent = b""
        for name, value in fields:
            match len(name):
                case 4 if name.lower() == b"host":
                    host = value
                case 7 if name.lower() == b"referer":
                    referer = value
                case 10 if name.lower() == b"user-agent":
                    user_agent = value
                case 11 if name.lower() == b"traceparent" and len(value) <= LONGEST_TRACEPARENT:
                    traceparent = value
        if len(method) + len(target) + len(host) + len(referer) + len(user_agent) > LONGEST_TEXT:
            method, target, host, referer, user_agent = map(_cut, (method, target, host, referer, user_agent))
        return cls(method, target, version, host, referer, user_agent, traceparent)


def _cut(value: bytes) -> bytes:
    """Return a text that is not too long, and ends between two words if it was."""
    return value if len(value) <= LONGEST_TEXT else _PARTIAL.sub(b"...", value[:LONGEST_TEXT], count=1)
