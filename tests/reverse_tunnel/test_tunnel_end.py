"""When an end of the tunnel begins, and what it says of options that are set later."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import Any

import pytest
from mitmproxy.addons.block import Block
from mitmproxy.addons.proxyauth import ProxyAuth
from mitmproxy.test import taddons
from tests.support.waiting import eventually, free_port

from proxy_policies.proxy_protocol.addon import ProxyProtocol
from proxy_policies.reverse_tunnel import identity
from proxy_policies.reverse_tunnel.home.addon import Home
from proxy_policies.reverse_tunnel.work.addon import Work
from proxy_policies.settings import Settings

NO_BALANCER = "proxy_protocol names none"
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
        ({}, {"home_clients": ["9001=ssh"]}, {"home_clients": []}, "home_listen is not: home does not listen"),
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


async def test_an_end_whose_identity_cannot_be_loaded_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
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
