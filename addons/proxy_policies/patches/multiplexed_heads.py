"""Reads and checks the heads of messages over HTTP/2 and HTTP/3 (RFC 9113, section 8.3; RFC 9114, section 4.3)."""

from __future__ import annotations

import time
from typing import Any

from mitmproxy import http

from proxy_policies import validity
from proxy_policies.fields import RawFields
from proxy_policies.http1.framing import is_interim
from proxy_policies.http1.request_heads import HEAD_LIMIT, name_of
from proxy_policies.validity import Invalid

PSEUDO = (b":method", b":scheme", b":authority", b":path")
SWITCHING_PROTOCOLS = 101


def lines_of(event: Any) -> RawFields:
    """Return the field lines of an event of h2 or aioquic, pseudo-fields first."""
    return tuple((bytes(name), bytes(value)) for name, value in event.headers)


def read_request(event: Any, version: bytes) -> http.Request:
    """Read a request's head; h2 and aioquic reject pseudo-fields that are repeated or misplaced. Raise Invalid."""
    lines = lines_of(event)
    if sum(len(name) + len(value) for name, value in lines) > HEAD_LIMIT:
        raise Invalid(f"The request head has over {HEAD_LIMIT} bytes.", 431)
    pseudo = {name: value for name, value in lines if name.startswith(b":")}
    fields = tuple(line for line in lines if not line[0].startswith(b":"))
    method, scheme, authority, path = (pseudo.get(name, b"") for name in PSEUDO)
    validity.check_multiplexed(method, scheme, authority, path, fields)
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


def read_status(lines: RawFields) -> int:
    """Return a response's status. Raise Invalid."""
    text = dict(lines).get(b":status", b"")
    if len(text) != 3 or not text.isdigit() or text[:1] not in b"12345":
        raise Invalid(f"the status is not valid: {validity.shown(text)}")
    return int(text)


def checked_response(lines: RawFields, status: int, is_interim_head: bool) -> list[tuple[bytes, bytes]]:
    """Return the lines of a response's head with one Content-Length. Raise Invalid."""
    if is_interim(status) != is_interim_head or status == SWITCHING_PROTOCOLS:  # RFC 9113, section 8.6
        raise Invalid(f"the status is not valid: {status}")
    fields = lines[1:]
    validity.check_fields(fields)
    validity.check_multiplexed_fields(fields)
    return [lines[0], *validity.with_one_length(fields)]
