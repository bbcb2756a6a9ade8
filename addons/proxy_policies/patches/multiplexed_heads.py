"""Reads and checks the heads of messages over HTTP/2 and HTTP/3 (RFC 9113, section 8.3; RFC 9114, section 4.3)."""

from __future__ import annotations

import time
from itertools import takewhile
from typing import Any

from mitmproxy import http

from proxy_policies import validity
from proxy_policies.fields import RawFields
from proxy_policies.http1 import chunked, response_heads
from proxy_policies.http1.framing import is_interim
from proxy_policies.http1.request_heads import HEAD_LIMIT, name_of
from proxy_policies.validity import Invalid

PSEUDO = (b":method", b":scheme", b":authority", b":path")
"""Those of requests (section 8.3.1)."""
SWITCHING_PROTOCOLS = 101


def lines_of(event: Any) -> RawFields:
    """Return the field lines of an event of h2 or aioquic."""
    return tuple((bytes(name), bytes(value)) for name, value in event.headers)


def read_request(event: Any, version: bytes) -> http.Request:
    """Read a request's head. Raise Invalid."""
    lines = lines_of(event)
    if size_of(lines) > HEAD_LIMIT:
        raise Invalid(f"The request head has over {HEAD_LIMIT} bytes.", 431)
    pseudo = dict(takewhile(lambda line: line[0].startswith(b":"), lines))
    fields = tuple(line for line in lines if line[0] not in pseudo)
    method, scheme, authority, path = (pseudo.get(name, b"") for name in PSEUDO)
    validity.check_multiplexed(method, scheme, authority, path, fields)
    if len(lines) > len(pseudo) + len(fields) or not pseudo.keys() <= set(PSEUDO):
        raise Invalid("The pseudo-fields are not valid.")
    if authority:  # which Host may only spell differently
        fields = tuple((name, authority if name == b"host" else value) for name, value in fields)
    host, port = validity.parse_authority(authority) if authority else (b"", 0)
    return http.Request(
        host=name_of(host),
        port=validity.DEFAULT_PORTS[scheme] if port is None else port,
        method=method,
        scheme=scheme,
        authority=authority,
        path=path,
        http_version=version,
        headers=http.Headers(validity.with_one_length(fields)),
        content=None,
        trailers=None,
        timestamp_start=time.time(),
        timestamp_end=None,
    )


def size_of(lines: RawFields) -> int:
    """Count the bytes of a head's names and values."""
    return sum(len(name) + len(value) for name, value in lines)


def read_status(lines: RawFields) -> int:
    """Return a response's status. Raise Invalid."""
    text = dict(lines).get(b":status", b"")
    if len(text) != 3 or not text.isdigit() or text[:1] not in b"12345":
        raise Invalid(f"the status is not valid: {validity.shown(text)}")
    return int(text)


def checked_response(lines: RawFields, status: int, is_interim_head: bool) -> list[tuple[bytes, bytes]]:
    """Return the lines of a response's head with one Content-Length. Raise Invalid."""
    response_heads.check_size(size_of(lines))
    if is_interim(status) != is_interim_head or status == SWITCHING_PROTOCOLS:  # RFC 9113, section 8.6
        raise Invalid(f"the status is not valid: {status}")
    fields = lines[1:]
    validity.check_fields(fields)
    validity.check_multiplexed_fields(fields)
    return [lines[0], *validity.with_one_length(fields)]


def checked_trailers(lines: RawFields) -> list[tuple[bytes, bytes]]:
    """Return the lines of a trailer section without those that may not be trailers. Raise Invalid."""
    if size_of(lines) > chunked.LIMIT:
        raise Invalid(f"the trailers have over {chunked.LIMIT} bytes")
    validity.check_multiplexed_fields(lines)
    return list(validity.without_forbidden_trailers(lines))
