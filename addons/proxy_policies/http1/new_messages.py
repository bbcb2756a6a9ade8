"""Makes mitmproxy's messages of parsed parts: their own constructors check and convert every part once more."""

from __future__ import annotations

import random
import time

from mitmproxy import http
from mitmproxy.connection import Client, Server

from proxy_policies.fields import RawFields
from proxy_policies.http1.framing import RAW_VERSION

_random = random.Random()  # noqa: S311 -- ids are no secrets
"""Ours alone: a script that seeds the module's, so as to decide the same for the same URL, would repeat ids."""


def new_flow(client: Client, server: Server) -> http.HTTPFlow:
    """Return the flow of a request that is in progress."""
    flow = http.HTTPFlow.__new__(http.HTTPFlow)
    vars(flow).update(
        id=_uuid(),
        client_conn=client,
        server_conn=server,
        live=True,
        timestamp_created=time.time(),
        intercepted=False,
        _resume_event=None,
        _backup=None,
        marked="",
        is_replay=None,
        metadata={},
        comment="",
    )
    return flow


def _uuid() -> str:
    """Return a random UUID (RFC 9562, section 5.4), without a system call."""
    digits = f"{_random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def new_request(
    host: str, port: int, method: bytes, scheme: bytes, authority: bytes, path: bytes, fields: RawFields
) -> http.Request:
    """Return a request in our version, of which only the head has been received."""
    request, data = http.Request.__new__(http.Request), http.RequestData.__new__(http.RequestData)
    vars(data).update(_head(fields), host=host, port=port, method=method, scheme=scheme, authority=authority, path=path)
    request.data = data
    return request


def new_response(status: int, reason: bytes, fields: RawFields) -> http.Response:
    """Return a response in our version, of which only the head has been received."""
    response, data = http.Response.__new__(http.Response), http.ResponseData.__new__(http.ResponseData)
    vars(data).update(_head(fields), status_code=status, reason=reason)
    response.data = data
    return response


def _head(fields: RawFields) -> dict[str, object]:
    headers = http.Headers.__new__(http.Headers)
    headers.fields = fields
    return {
        "http_version": RAW_VERSION,
        "headers": headers,
        "content": None,
        "trailers": None,
        "timestamp_start": time.time(),
        "timestamp_end": None,
    }
