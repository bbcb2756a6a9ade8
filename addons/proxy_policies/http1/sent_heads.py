"""Heads as they are sent: copies of what addons may edit, in our version of HTTP (RFC 9110, section 2.5)."""

from mitmproxy import http
from mitmproxy.net.http import status_codes, url
from mitmproxy.proxy.layers.http._base import format_error

from proxy_policies.fields import Fields, RawFields, fields_of
from proxy_policies.http1.framing import RAW_VERSION, VERSION, with_persistence

SPLITS = "the answer that an addon made has a line end or NUL in its head"


def kept_request(request: http.Request) -> http.Request:
    """Copy of a request's head what no addon shall edit."""
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


def kept_response(response: http.Response, fields: Fields) -> http.Response:
    """Copy a response's head as it is sent in our version."""
    data = response.data
    return http.Response(
        http_version=RAW_VERSION,
        status_code=data.status_code,
        reason=reason_of(response),
        headers=http.Headers(fields.raw),
        content=None,
        trailers=None,
        timestamp_start=data.timestamp_start,
        timestamp_end=None,
    )


def reason_of(response: http.Response) -> bytes:
    """Return a response's reason phrase; of a version that has none (RFC 9113, section 8.3.2), its status's."""
    data = response.data
    if data.reason or data.http_version.startswith(b"HTTP/1"):
        return data.reason
    return status_codes.RESPONSES.get(data.status_code, "").encode()


def head_of(response: http.Response) -> bytes:
    """Write the head of a response as it is."""
    data = response.data
    return write_head(data.status_code, data.reason, data.headers.fields)


def write_head(status: int, reason: bytes, fields: RawFields) -> bytes:
    """Write a response head."""
    return b"%s %d %s\r\n%s\r\n" % (RAW_VERSION, status, reason, b"".join([b"%s: %s\r\n" % line for line in fields]))


def error_response(status: int, message: str) -> http.Response:
    """Make the response to what went wrong."""
    return http.Response.make(status, format_error(status, message), {"Content-Type": "text/html; charset=utf-8"})


def as_http1(request: http.Request) -> http.Request:
    """Copy a request's head as HTTP/1.1 in our name."""
    sent = kept_request(request)
    sent.http_version = VERSION
    if request.is_http2 or request.is_http3:
        _translate(sent)
    if "host" not in sent.headers and sent.method != "CONNECT":
        sent.headers.insert(0, "Host", request.data.authority or _authority_of(request))
    if sent.data.authority and sent.data.path == b"*":
        sent.data.path = b""  # to a proxy: OPTIONS for the server as a whole (RFC 9112, section 3.2.4)
    return sent


def _authority_of(request: http.Request) -> bytes:
    """Write host and port of a request that says neither itself, as they are dialled."""
    try:
        host = request.host.encode("idna").decode()
    except UnicodeError:
        host = request.host
    return url.hostport(request.scheme, host, request.port).encode("utf-8", "surrogateescape")


def _translate(sent: http.Request) -> None:
    """Make HTTP/1 of a later version's head: a Host, one Cookie line (RFC 9113, section 8.2.3), TE in Connection.

    mitmproxy uses a connection for one request of a multiplexed client only; the origin is sent `close`.
    """
    authority, sent.data.authority = sent.data.authority, b""
    if "host" not in sent.headers and authority:
        sent.headers.insert(0, "Host", authority)
    cookies = sent.headers.get_all("cookie")
    if len(cookies) > 1:
        sent.headers["Cookie"] = "; ".join(cookies)
    if "te" in sent.headers:  # for this connection only (RFC 9110, section 10.1.4), which HTTP/2 has no need to say
        sent.headers["Connection"] = "TE"
    sent.headers = http.Headers(with_persistence(fields_of(sent.headers), VERSION, closes=True).raw)
