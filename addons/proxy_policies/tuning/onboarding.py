"""Serves mitmproxy's own page without a task for each request that is not for it. Tested with mitmproxy 12.2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mitmproxy import http
from mitmproxy.addons.onboarding import Onboarding

from proxy_policies.patch import Replacement

_Hook = Callable[[Onboarding, http.HTTPFlow], Awaitable[None]]


def quick_request(original: _Hook) -> Callable[[Onboarding, http.HTTPFlow], Awaitable[None] | None]:
    """Return a hook that is asynchronous only for a request for the page."""

    def request(onboarding: Onboarding, f: http.HTTPFlow) -> Awaitable[None] | None:
        return original(onboarding, f) if onboarding.should_serve(f) else None

    return request


ONBOARDING = Replacement(
    owner=Onboarding,
    attribute="request",
    wrap=quick_request,
    seen_on="12.2",
    why="each request starts a task to find that it is not for mitm.it",
)
