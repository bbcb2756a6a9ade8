"""The host that a client asked for: in reverse mode mitmproxy overwrites it before any addon sees the request."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy import http
from mitmproxy.proxy.layers.http import HttpStream

from proxy_policies.patches.patch import Patch

_asked: WeakKeyDictionary[http.Request, str | None] = WeakKeyDictionary()


def asked_host(request: http.Request) -> str | None:
    """Return Host, or :authority, as the client sent it; for a request that no client sent, as it is."""
    try:
        return _asked[request]
    except KeyError:
        return _requested_host(request)


def note(request: http.Request) -> None:
    """Keep the host that a request asks for, before it is overwritten."""
    _asked[request] = _requested_host(request)


def _requested_host(request: http.Request) -> str | None:
    """Read the host from the bytes: mitmproxy's `host_header` and `authority` decode IDNA."""
    if request.data.authority:
        return request.data.authority.decode("utf-8", "surrogateescape")
    return request.headers.get("host")


def _noting(original: Callable[..., Any]) -> Callable[..., Any]:
    def state_wait_for_request_headers(self: HttpStream, event: Any) -> Any:
        note(event.request)
        return original(self, event)

    return state_wait_for_request_headers


PATCH = Patch(
    owner=HttpStream,
    attribute="state_wait_for_request_headers",
    wrap=_noting,
    versions="12.2",
    why="X-Forwarded-Host and Forwarded name the origin instead of the host the client asked for",
)
