"""Reads HTTP/1 response heads as mitmproxy's responses, holding them to what is valid (`proxy_policies.validity`)."""

import time

from mitmproxy import http
from mitmproxy.net.http import http1

from proxy_policies import validity
from proxy_policies.fields import Fields, tokens
from proxy_policies.validity import Invalid

HEAD_LIMIT = 256 * 1024
"""The most bytes a response head may have: Chromium's limit, the most generous of the browsers'."""
SWITCHING_PROTOCOLS = 101


def read_response(lines: list[bytes], request: http.Request, strict: bool) -> tuple[http.Response, int | None]:
    """Read the head of a response to `request`, and the size of its body as h11's readers take it.

    Not `strict`, mitmproxy's own reader has its say alone. Raises Invalid.
    """
    check_size(sum(map(len, lines)) + 2 * len(lines) + 2)  # with their ends
    try:
        response = _read(lines, request) if strict else http1.read_response_head(lines)
        return response, http1.expected_http_body_size(request, response)
    except (ValueError, IndexError) as error:
        raise Invalid(str(error)) from error


def check_size(size: int) -> None:
    """Refuse a head of so many bytes, whole or not, where that is too much."""
    if size > HEAD_LIMIT:
        raise Invalid(f"the response head has over {HEAD_LIMIT} bytes")


def _read(lines: list[bytes], request: http.Request) -> http.Response:
    if not lines:
        raise Invalid("an empty line where a status line should be")
    line = validity.parse_status_line(lines[0])
    fields = validity.parse_fields(validity.unfolded(lines[1:]))
    if line.status == SWITCHING_PROTOCOLS:
        check_switch(Fields(request.headers.fields), Fields(fields))
    return http.Response(
        http_version=line.version,
        status_code=line.status,
        reason=line.reason,
        headers=http.Headers(fields),
        content=None,
        trailers=None,
        timestamp_start=time.time(),
        timestamp_end=None,
    )


def check_switch(asked: Fields, answered: Fields) -> None:
    """Refuse to change to a protocol that nobody asked for (RFC 9110, section 7.8)."""
    wanted = tokens(asked.get("Upgrade")) if "upgrade" in tokens(asked.get("Connection")) else []
    if not set(tokens(answered.get("Upgrade"))) & set(wanted):
        raise Invalid("101 (Switching Protocols) to a request that did not ask for it")
