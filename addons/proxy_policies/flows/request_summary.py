"""What logs, traces and counters need to know of a client's request, as it was received. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

LONGEST_TEXT = 2048
"""Bytes kept of each text from a client, so that lines waiting to be written are bounded: an old limit on URLs."""
LONGEST_TRACEPARENT = 128
"""Bytes of a traceparent that is kept; it is never cut. Version 00 has 55, later versions may be longer."""
_WHOLE_TOKENS = re.compile(rb"(?:.*[/?&=;#, ])?", re.DOTALL)
"""A text that was cut, but for an incomplete token at its end: no redaction would recognise a part of a secret."""


@dataclass(slots=True)
class RequestSummary:
    """A request line, and the fields that identify the client and its purpose."""

    method: bytes = b""
    """Empty for an invalid request."""
    target: bytes = b""
    """In the form received: absolute to a proxy, else a path (RFC 9112, section 3.2); host:port for a tunnel."""
    version: bytes = b""
    """Empty if there was no HTTP request."""
    host: bytes = b""
    referer: bytes = b""
    user_agent: bytes = b""
    traceparent: bytes = b""
    """The client's place in a trace (W3C Trace Context)."""

    @classmethod
    def of(cls, method: bytes, target: bytes, version: bytes, fields: Iterable[tuple[bytes, bytes]]) -> Self:
        """Return the request line and the relevant fields; long texts are cut."""
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
    """Return a text; one that is too long is cut between two tokens."""
    if len(value) <= LONGEST_TEXT:
        return value
    whole = _WHOLE_TOKENS.match(value[:LONGEST_TEXT])
    return (whole[0] if whole else b"") + b"..."
