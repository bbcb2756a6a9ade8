"""The host that a client asked for: in reverse mode mitmproxy overwrites it before any addon sees the request."""

from mitmproxy import http
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.layers.http._events import RequestHeaders

from proxy_policies.patches.patch import Section

_ATTRIBUTE = "policy_asked_host"
"""Of the request: what mitmproxy saves and copies of a message are the attributes that it knows of."""


def asked_host(request: http.Request) -> str | None:
    """Return Host, or :authority, as the client sent it; for a request that no client sent, as it is."""
    attributes = vars(request)
    return attributes[_ATTRIBUTE] if _ATTRIBUTE in attributes else _requested_host(request)


def note(request: http.Request) -> None:
    """Keep the host that a request asks for, before it is overwritten."""
    vars(request)[_ATTRIBUTE] = _requested_host(request)


def _requested_host(request: http.Request) -> str | None:
    """Read the host from the bytes: mitmproxy's `host_header` and `authority` decode IDNA."""
    if request.data.authority:
        return request.data.authority.decode("utf-8", "surrogateescape")
    return request.headers.get("host")


class Noting(HttpStream):
    """A request, whose host is noted first."""

    def state_wait_for_request_headers(self, event: RequestHeaders) -> CommandGenerator[None]:
        """Take the request's head."""
        note(event.request)
        yield from super().state_wait_for_request_headers(event)


SECTION = Section(
    mixin=Noting,
    why="X-Forwarded-Host and Forwarded name the origin instead of the host the client asked for",
    upstream=(
        "not reported, a feature: in reverse mode `host_header` is the origin's in the first hook that sees the request"
    ),
    remove_when="mitmproxy keeps the host that the client asked for, or overwrites it after `requestheaders`",
    test="tests/e2e/hops/test_hops.py::test_a_reverse_proxy_tells_whom_a_request_is_from",
)
