"""Forgetting the password that proxyauth leaves on every flow, and so in every flow file."""

import functools
from collections.abc import Callable

from mitmproxy import http
from mitmproxy.addons.proxyauth import ProxyAuth

from proxy_policies.patches.patch import Patch

Hook = Callable[[ProxyAuth, http.HTTPFlow], None]


def _forgetting(original: Hook) -> Hook:
    @functools.wraps(original)
    def hook(self: ProxyAuth, flow: http.HTTPFlow) -> None:
        original(self, flow)
        if known := flow.metadata.get("proxyauth"):
            flow.metadata["proxyauth"] = (known[0], "")
        if flow.response is not None and self.validator is not None:
            flow.request.headers.pop("Proxy-Authorization", None)

    return hook


PATCHES = tuple(
    Patch(
        owner=ProxyAuth,
        attribute=attribute,
        wrap=_forgetting,
        versions="12.2",
        why="proxyauth leaves the client's password on the flow",
    )
    for attribute in ("requestheaders", "http_connect")
)
