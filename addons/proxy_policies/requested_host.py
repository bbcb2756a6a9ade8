"""The host that a client asked for: in reverse mode mitmproxy overwrites it before any addon sees the request."""

from mitmproxy import http

_ATTRIBUTE = "policy_requested_host"
"""Of the request: what mitmproxy saves and copies of a message are the attributes that it knows of."""


def requested_host(request: http.Request) -> str | None:
    """Return Host, or :authority, as the client sent it; for a request that no client sent, as it is."""
    attributes = vars(request)
    return attributes[_ATTRIBUTE] if _ATTRIBUTE in attributes else _host_of(request)


def note(request: http.Request) -> None:
    """Keep the host that a request asks for, before it is overwritten."""
    vars(request)[_ATTRIBUTE] = _host_of(request)


def _host_of(request: http.Request) -> str | None:
    """Read the host from the bytes: mitmproxy's `host_header` and `authority` decode IDNA."""
    if request.data.authority:
        return request.data.authority.decode("utf-8", "surrogateescape")
    return request.headers.get("host")
