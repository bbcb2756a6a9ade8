"""What home says of options that were hardly meant."""

from __future__ import annotations

import pytest
from mitmproxy.addons.block import Block
from mitmproxy.addons.proxyauth import ProxyAuth
from mitmproxy.test import taddons

from proxy_policies.proxy_protocol.addon import ProxyProtocol
from proxy_policies.reverse_tunnel.home.addon import Home
from proxy_policies.settings import Settings

NO_BALANCER = "proxy_protocol names none"
OPEN = {"listen_host": "", "home_listen": "9000", "home_tls": "none"}


@pytest.mark.parametrize(
    ("changes", "listening"),
    [
        ({}, "*:8080"),
        ({"listen_host": "0.0.0.0", "listen_port": 3128}, "0.0.0.0:3128"),
        ({"listen_host": "::"}, "[::]:8080"),
        ({"mode": ["regular@127.0.0.1:80", "socks5@1080"]}, "*:1080"),
        ({"mode": ["upstream:http://proxy.example"]}, "*:8080"),
        ({"listen_host": "127.0.0.1"}, ""),
        ({"listen_host": "::1"}, ""),
        ({"mode": ["reverse:http://origin.example"]}, ""),
        ({"server": False}, ""),
        ({"proxyauth": "user:password"}, ""),
        ({"block_private": True}, ""),
        ({"home_listen": ""}, ""),
    ],
    ids=repr,
)
def test_an_open_proxy_causes_a_warning(changes: dict[str, object], listening: str) -> None:
    home = Home()
    with taddons.context(Block(), ProxyAuth(), Settings([home]), home) as context:
        context.configure(home, **{**OPEN, **changes})
        warnings = [doubt for doubt in home.warnings() if "proxyauth" in doubt]
    assert len(warnings) == bool(listening)
    assert not listening or f"the proxy also listens on {listening} without proxyauth" in warnings[0]


@pytest.mark.parametrize(
    ("changes", "is_doubtful"),
    [
        ({"home_listen": "9000,proxy"}, True),
        ({"home_clients": ["9001=ssh,proxy"]}, True),
        ({"home_listen": "9000,proxy", "proxy_protocol": ["127.0.0.1"]}, False),
        ({"proxy_protocol": ["127.0.0.1"]}, False),
        ({}, False),
    ],
    ids=repr,
)
def test_a_load_balancer_that_is_not_named_is_warned_of(changes: dict[str, object], is_doubtful: bool) -> None:
    home, protocol = Home(), ProxyProtocol()
    with taddons.context(Block(), ProxyAuth(), Settings([protocol, home]), protocol, home) as context:
        context.configure(home, **{**OPEN, "listen_host": "127.0.0.1", **changes})
        warnings = list(home.warnings())
    assert any(NO_BALANCER in line for line in warnings) is is_doubtful


@pytest.mark.parametrize(
    ("changes", "is_doubtful"),
    [
        ({"home_allow": ["office=ssh"]}, True),
        ({"home_allow": ["office=ssh"], "home_tls": "secret", "home_secret": "k3J9xQ2vLm8Zr7Tn5Yc1"}, True),
        ({"home_allow": ["office=ssh"], "home_listen": ""}, False),
        ({}, False),
    ],
    ids=repr,
)
def test_names_that_nothing_certifies_are_warned_of(changes: dict[str, object], is_doubtful: bool) -> None:
    home = Home()
    with taddons.context(Block(), ProxyAuth(), Settings([home]), home) as context:
        context.configure(home, **{**OPEN, "listen_host": "127.0.0.1", **changes})
        warnings = [line for line in home.warnings() if "home_allow" in line]
    assert bool(warnings) is is_doubtful
