"""Which modes' clients the fast ways may serve at all."""

import pytest
from mitmproxy.proxy.mode_specs import ProxyMode

from proxy_policies.connection.modes import opens_tunnels, speaks_http


@pytest.mark.parametrize(
    ("spec", "tunnels", "http"),
    [
        ("regular", True, True),
        ("regular@8081", True, True),
        ("reverse:http://a.test", False, True),
        ("reverse:https://a.test", False, True),
        ("reverse:tcp://a.test:1", False, False),
        ("reverse:tls://a.test:1", False, False),
        ("reverse:dns://a.test:1", False, False),
        ("reverse:http3://a.test", False, False),
        ("upstream:http://a.test", False, False),
        ("socks5", False, False),
        ("transparent", False, False),
        ("dns", False, False),
        ("wireguard", False, False),
        ("local", False, False),
        ("tun", False, False),
    ],
)
def test_a_mode(spec: str, tunnels: bool, http: bool) -> None:
    mode = ProxyMode.parse(spec)
    assert (opens_tunnels(mode), speaks_http(mode)) == (tunnels, http)
