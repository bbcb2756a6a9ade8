"""Which requests get the credentials for the next proxy."""

import pytest
from mitmproxy.addons.upstream_auth import UpstreamAuth
from mitmproxy.connection import Server
from mitmproxy.net.server_spec import ServerSpec
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import tflow

from proxy_policies.patches.upstream_credentials import COMPANION

NEXT_PROXY: ServerSpec = ("http", ("proxy.example", 8080))
ADDRESS = "server.example", 80


@pytest.mark.parametrize(
    ("mode", "address", "via", "field"),
    [
        ("upstream:http://proxy.example", None, NEXT_PROXY, "Proxy-Authorization"),
        ("upstream:http://proxy.example", ADDRESS, NEXT_PROXY, None),
        ("upstream:http://proxy.example", ADDRESS, None, None),
        ("reverse:http://server.example", ADDRESS, None, "Authorization"),
    ],
    ids=["next proxy", "tunnel", "another server", "reverse"],
)
def test_who_gets_them(mode: str, address: tuple[str, int] | None, via: ServerSpec | None, field: str | None) -> None:
    addon, flow = UpstreamAuth(), tflow.tflow()
    addon.auth = b"Basic secret"
    flow.client_conn.proxy_mode = ProxyMode.parse(mode)
    flow.server_conn = Server(address=address, via=via)
    COMPANION.wrap(UpstreamAuth.requestheaders)(addon, flow)
    assert [name for name in ("Authorization", "Proxy-Authorization") if name in flow.request.headers] == (
        [field] if field else []
    )
