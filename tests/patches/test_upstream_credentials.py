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


Case = tuple[str, tuple[str, int] | None, ServerSpec | None, str | None, str | None]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(("upstream:http://proxy.example", None, NEXT_PROXY, None, "Proxy-Authorization"), id="next proxy"),
        pytest.param(("upstream:http://proxy.example", ADDRESS, NEXT_PROXY, None, None), id="tunnel"),
        pytest.param(("upstream:http://proxy.example", ADDRESS, None, None, None), id="another server"),
        pytest.param(
            ("upstream:http://proxy.example", ADDRESS, NEXT_PROXY, "request", "Proxy-Authorization"), id="sent again"
        ),
        pytest.param(("reverse:http://server.example", ADDRESS, None, None, "Authorization"), id="reverse"),
    ],
)
def test_who_gets_them(case: Case) -> None:
    mode, address, via, is_replay, field = case
    addon, flow = UpstreamAuth(), tflow.tflow()
    flow.is_replay = is_replay
    addon.auth = b"Basic secret"
    flow.client_conn.proxy_mode = ProxyMode.parse(mode)
    flow.server_conn = Server(address=address, via=via)
    COMPANION.wrap(UpstreamAuth.requestheaders)(addon, flow)
    assert [name for name in ("Authorization", "Proxy-Authorization") if name in flow.request.headers] == (
        [field] if field else []
    )
