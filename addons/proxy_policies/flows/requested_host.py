"""The host that a client requested: in reverse mode mitmproxy overwrites it before any addon sees the request."""

from mitmproxy import http

_ATTRIBUTE = "policy_requested_host"
"""An attribute of the request; mitmproxy saves and copies only the attributes it knows."""


def requested_host(request: http.Request) -> str | None:
    """Return :authority or Host as the client sent it; the present value for a request that no client sent."""
    attributes = vars(request)
    return attributes[_ATTRIBUTE] if _ATTRIBUTE in attributes else host_of(request)


def note(request: http.Request, host: str | None) -> None:
    """Note the host of a request that is, or will be, overwritten."""
    vars(request)[_ATTRIBUTE] = host


def host_of(request: http.Request) -> str | None:
    """Return the host without decoding IDNA, as mitmproxy's `host_header` and `authority` would."""
    if request.data.authority:
        return request.data.authority.decode("utf-8", "surrogateescape")
    return request.headers.get("host")
