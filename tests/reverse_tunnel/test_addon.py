"""What home and work say of options that were hardly meant: at their start, and when they are set later."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import Any

import pytest
from mitmproxy.addons.block import Block
from mitmproxy.addons.proxyauth import ProxyAuth
from mitmproxy.test import taddons
from tests.support.tunnel_in_process import eventually
from tests.support.waiting import free_port

from proxy_policies.proxy_protocol.addon import ProxyProtocol
from proxy_policies.reverse_tunnel import identity
from proxy_policies.reverse_tunnel.addon import Home, Work
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
def test_a_proxy_that_anybody_may_ask_is_warned_of(changes: dict[str, object], listening: str) -> None:
    home = Home()
    with taddons.context(Block(), ProxyAuth(), Settings([home]), home) as context:
        context.configure(home, **{**OPEN, **changes})
        doubts = [doubt for doubt in home.doubts() if "proxyauth" in doubt]
    assert len(doubts) == bool(listening)
    assert not listening or f"the proxy listens on {listening} too, without proxyauth" in doubts[0]


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
        doubts = list(home.doubts())
    assert any(NO_BALANCER in line for line in doubts) is is_doubtful


NOTHING = {"home_tls": "none", "work_tls": "none", "listen_host": "127.0.0.1"}


@pytest.mark.parametrize(
    ("begins", "change", "undo", "doubt"),
    [
        ({"home_listen": "9000"}, {"home_clients": ["9001=ssh,proxy"]}, {"home_clients": []}, NO_BALANCER),
        (
            {"home_listen": "9000,proxy", "proxy_protocol": ["127.0.0.1"]},
            {"proxy_protocol": []},
            {"proxy_protocol": ["127.0.0.1"]},
            NO_BALANCER,
        ),
        ({}, {"home_clients": ["9001=ssh"]}, {"home_clients": []}, "home_listen is not: nothing listens"),
        ({"home_listen": "9000"}, {"listen_host": ""}, {"listen_host": "::1"}, "without proxyauth"),
        ({"work_home": "127.0.0.1:9"}, {"work_home": ""}, {"work_home": "127.0.0.1:9"}, "nothing is offered"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_set_later_is_doubted_as_at_start(
    caplog: pytest.LogCaptureFixture, begins: dict[str, Any], change: dict[str, Any], undo: dict[str, Any], doubt: str
) -> None:
    """Once, for as long as it holds."""
    ports = {"9000": str(free_port()), "9001": str(free_port())}
    home, work, protocol = Home(), Work(), ProxyProtocol()
    with taddons.context(Block(), ProxyAuth(), Settings([protocol, home, work]), protocol, home, work) as context:
        context.options.update(work_services=["ssh=127.0.0.1:22"], **NOTHING)
        context.options.update(**_with_ports(begins, ports))
        for end in (home, work):
            await end.running()
        try:
            before = caplog.text.count(doubt)
            for expected in (before + 1, before + 2):
                context.options.update(**_with_ports(change, ports))
                await eventually(functools.partial(_is_said, caplog, doubt, expected))
                context.options.update(tunnel_heartbeat=f"{expected + 1}s")  # nothing new
                await asyncio.sleep(0)
                context.options.update(**_with_ports(undo, ports))
                await asyncio.sleep(0)
            assert caplog.text.count(doubt) == before + 2
        finally:
            for end in (home, work):
                await end.done()


def _is_said(caplog: pytest.LogCaptureFixture, doubt: str, times: int) -> bool:
    return caplog.text.count(doubt) == times


def _with_ports(options: dict[str, Any], ports: dict[str, str]) -> dict[str, Any]:
    """Put free ports in the place of those that are written."""

    def replaced(text: str) -> str:
        for written, port in ports.items():
            text = text.replace(written, port)
        return text

    return {
        name: [replaced(part) for part in value] if isinstance(value, list) else replaced(value)
        for name, value in options.items()
    }


async def test_an_end_of_which_nobody_knows_who_it_is_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise TypeError("whatever a certificate may bring about")

    home, port = Home(), free_port()
    with taddons.context(Block(), ProxyAuth(), Settings([home]), home) as context:
        await home.running()
        try:
            monkeypatch.setattr(identity, "load", fails)
            with contextlib.suppress(TypeError):
                context.options.update(home_listen=f"127.0.0.1:{port}", home_tls="none")
            context.options.update(tunnel_heartbeat="5s")
            await asyncio.sleep(0.3)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
        finally:
            await home.done()
