"""Heads as sent: copies, because addons may edit the originals, in our version of HTTP (RFC 9110, section 2.5)."""

from mitmproxy import http
from mitmproxy.net.http import status_codes, url
from mitmproxy.proxy.layers.http._base import format_error

from proxy_policies.fields import Fields, fields_of
from proxy_policies.http1.framing import RAW_VERSION, VERSION, with_persistence, write_head

SPLITS = "the answer that an addon made has a line end or NUL in its head"


def kept_request(request: http.Request) -> http.Request:
    """Return a copy of a request's head that addons cannot edit."""
    data = request.data
    return http.Request(
        host=data.host,
        port=data.port,
        method=data.method,
        scheme=data.scheme,
        authority=data.authority,
        path=data.path,
        http_version=data.http_version,
        headers=http.Headers(data.headers.fields),
        content=None,
        trailers=None,
        timestamp_start=data.timestamp_start,
        timestamp_end=None,
    )


def kept_response(response: http.Response, fields: Fields | None = None) -> http.Response:
    """Return a copy of a response's head that addons cannot edit; with the fields as sent, in our version."""
    data = response.data
    is_received = fields is None
    return http.Response(
        http_version=data.http_version if is_received else RAW_VERSION,
        status_code=data.status_code,
        reason=data.reason if is_received else reason_of(response),
        headers=http.Headers(data.headers.fields if fields is None else fields.raw),
        content=None,
        trailers=None,
        timestamp_start=data.timestamp_start,
        timestamp_end=None,
    )


def reason_of(response: http.Response) -> bytes:
    """Return a response's reason phrase; for versions without one (RFC 9113, section 8.3.2), that of its status."""
    data = response.data
    if data.reason or data.http_version.startswith(b"HTTP/1"):
        return data.reason
    return status_codes.RESPONSES.get(data.status_code, "").encode()


def head_of(response: http.Response) -> bytes:
    """Return the bytes of a response's head, unchanged."""
    data = response.data
    return write_head(data.status_code, data.reason, data.headers.fields)


def error_response(status: int, message: str) -> http.Response:
    """Return the response to an error."""
    return http.Response.make(status, format_error(status, message), {"Content-Type": "text/html; charset=utf-8"})


def as_http1(request: http.Request) -> http.Request:
    """Return a copy of a request's head as HTTP/1.1."""
    sent = kept_request(request)
    sent.http_version = VERSION
    if request.is_http2 or request.is_http3:
        _translate(sent)
    if "host" not in sent.headers and sent.method != "CONNECT":
        sent.headers.insert(0, "Host", request.data.authority or _authority_of(request))
    if sent.data.authority and sent.data.path == b"*":
        sent.data.path = b""  # OPTIONS for the whole server, to a proxy (RFC 9112, section 3.2.4)
    return sent


def _authority_of(request: http.Request) -> bytes:
    """Return the dialled host and port of a request that names neither itself."""
    try:
        host = request.host.encode("idna").decode()
    except UnicodeError:
        host = request.host
    return url.hostport(request.scheme, host, request.port).encode("utf-8", "surrogateescape")


def _translate(sent: http.Request) -> None:
    """Convert a later version's head to HTTP/1: a Host, one Cookie line (RFC 9113, section 8.2.3), TE in Connection.

    For a multiplexed client, mitmproxy uses a connection for one request only; the origin is sent `close`.
    """
    authority, sent.data.authority = sent.data.authority, b""
    if "host" not in sent.headers and authority:
        sent.headers.insert(0, "Host", authority)
    cookies = sent.headers.get_all("cookie")
    if len(cookies) > 1:
        sent.headers["Cookie"] = "; ".join(cookies)
    if "te" in sent.headers:  # hop-by-hop (RFC 9110, section 10.1.4), which need not be declared in HTTP/2
        sent.headers["Connection"] = "TE"
    sent.headers = http.Headers(with_persistence(fields_of(sent.headers), VERSION, closes=True).raw)
