"""Credentials of `upstream_auth` for the next proxy only, and not for servers that requests are sent to directly."""

import functools
from collections.abc import Callable

from mitmproxy import http
from mitmproxy.addons.upstream_auth import UpstreamAuth
from mitmproxy.proxy.mode_specs import UpstreamMode

from proxy_policies.hook_conditions import only_if
from proxy_policies.patch import Companion

Hook = Callable[[UpstreamAuth, http.HTTPFlow], None]


def _for_the_next_proxy(original: Hook) -> Hook:
    @only_if("auth")
    @functools.wraps(original)
    def requestheaders(addon: UpstreamAuth, flow: http.HTTPFlow) -> None:
        if not (isinstance(flow.client_conn.proxy_mode, UpstreamMode) and _is_for_server(flow)):
            original(addon, flow)

    return requestheaders


def _is_for_server(flow: http.HTTPFlow) -> bool:
    """Return whether the next proxy only relays a request, or does not get it at all.

    In a tunnel, and if an addon has chosen a server, its address is known before the request is sent. It always is when
    a flow is sent again, which the next proxy then gets.
    """
    server = flow.server_conn
    return server.via is None or (server.address is not None and flow.is_replay != "request")


COMPANION = Companion(
    owner=UpstreamAuth,
    attribute="requestheaders",
    wrap=_for_the_next_proxy,
    seen_on="12.2.1 to 12.3.1",
    why="servers get the credentials for the next proxy, in a tunnel, or if an addon lets requests go there directly",
    test="tests/e2e/hops/test_hops.py::test_credentials_go_to_the_next_proxy_only",
    source_sha256={"12.2.1 to 12.3.1": "92222680246576146cc91df5ed9ec17f0928e2923de720d9ac3a68d156e34569"},
)
