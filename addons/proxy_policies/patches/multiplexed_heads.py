"""Reads the heads of requests over HTTP/2 and HTTP/3 (RFC 9113, section 8.3; RFC 9114, section 4.3)."""

from __future__ import annotations

import time
from typing import Any

from mitmproxy import http

from proxy_policies import validity
from proxy_policies.fields import RawFields
from proxy_policies.http1.request_heads import name_of

PSEUDO = (b":method", b":scheme", b":authority", b":path")


def lines_of(event: Any) -> RawFields:
    """Return the field lines of an event of h2 or aioquic, pseudo-fields first."""
    return tuple((bytes(name), bytes(value)) for name, value in event.headers)


def read_request(event: Any, version: bytes) -> http.Request:
    """Read a request's head; h2 and aioquic reject pseudo-fields that are repeated or misplaced. Raise Invalid."""
    lines = lines_of(event)
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
