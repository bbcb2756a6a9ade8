"""Makes mitmproxy's messages of parsed parts: their own constructors check and convert every part once more."""

from __future__ import annotations

import random
import time

from mitmproxy import http
from mitmproxy.connection import Client, Server

from proxy_policies.fields import Fields, set_fields
from proxy_policies.http1.framing import RAW_VERSION

_random = random.Random()  # noqa: S311 -- ids are no secrets
"""Ours alone: a script that seeds the module's, so as to decide the same for the same URL, would repeat ids."""


def new_flow(client: Client, server: Server) -> http.HTTPFlow:
    """Return the flow of a request that is in progress."""
    flow = http.HTTPFlow.__new__(http.HTTPFlow)
    # In the order in which mitmproxy sets them.
    flow.id, flow.client_conn, flow.server_conn, flow.live = _uuid(), client, server, True
    flow.timestamp_created, flow.intercepted = time.time(), False
    flow._resume_event, flow._backup = None, None
    flow.marked, flow.is_replay, flow.metadata, flow.comment = "", None, {}, ""
    return flow


def _uuid() -> str:
    """Return a random UUID (RFC 9562, section 5.4), without a system call."""
    digits = f"{_random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def new_request(
    host: str, port: int, method: bytes, scheme: bytes, authority: bytes, path: bytes, fields: Fields
) -> http.Request:
    """Return a request in our version, of which only the head has been received."""
    request, data = http.Request.__new__(http.Request), http.RequestData.__new__(http.RequestData)
    _set_head(data, fields)
    data.host, data.port = host, port
    data.method, data.scheme, data.authority, data.path = method, scheme, authority, path
    request.data = data
    return request


def new_response(status: int, reason: bytes, fields: Fields) -> http.Response:
    """Return a response in our version, of which only the head has been received."""
    response, data = http.Response.__new__(http.Response), http.ResponseData.__new__(http.ResponseData)
    _set_head(data, fields)
    data.status_code, data.reason = status, reason
    response.data = data
    return response


def _set_head(data: http.MessageData, fields: Fields) -> None:
    data.http_version, data.headers = RAW_VERSION, http.Headers.__new__(http.Headers)
    set_fields(data.headers, fields)
    data.content, data.trailers = None, None
    data.timestamp_start, data.timestamp_end = time.time(), None
