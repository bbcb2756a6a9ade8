"""Inspection's decisions in the modes that need privileges or datagrams, on mitmproxy's own contexts."""

from collections.abc import Iterator

import pytest
from mitmproxy import exceptions
from mitmproxy.net import tls
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import TCPLayer, UDPLayer, modes
from mitmproxy.test import taddons, tflow

from proxy_policies.inspection.addon import Inspection
from proxy_policies.inspection.hosts import parse_hosts
from proxy_policies.passthrough.layer import TunnelLayer

HELLO = bytes.fromhex(
    "16030100650100006103035658a756ab2c2bff55f636814deac086b7ca56b65058c7893ffc6074f5245f70205658a75475103a152637"
    "78e1bb6d22e8bbd5b6b0a3a59760ad354e91ba20d353001a0035002f000a000500040009000300060008006000610062006401000000"
)
"""A ClientHello without an SNI."""


@pytest.fixture
def inspection() -> Iterator[Inspection]:
    policy = Inspection()
    with taddons.context(policy):
        yield policy
        policy.done()


def asked(mode: type[layer.Layer], host: str, *said: events.Event, udp: bool = False) -> layer.NextLayer:
    with taddons.context() as context:
        around = Context(tflow.tclient_conn(), context.options)
    around.client.transport_protocol = "udp" if udp else "tcp"
    around.server.address = (host, 443)
    mode(around)
    next_layer = layer.NextLayer(around)
    next_layer.events.extend(said)
    return next_layer


def client_says(next_layer: layer.NextLayer, data: bytes) -> None:
    next_layer.events.append(events.DataReceived(next_layer.context.client, data))


def test_no_tunnel_is_opened_by_default(inspection: Inspection) -> None:
    next_layer = asked(modes.Socks5Proxy, "10.1.1.1")
    inspection.next_layer(next_layer)
    assert isinstance(next_layer.layer, TunnelLayer)


@pytest.mark.parametrize(("data", "expected"), [(HELLO, TunnelLayer), (b"GET / HTTP/1.1\r\n", type(None))])
def test_of_redirected_connections_plain_http_is_opened(
    inspection: Inspection, data: bytes, expected: type[object]
) -> None:
    next_layer = asked(modes.TransparentProxy, "10.1.1.1")
    with pytest.raises(exceptions.AddonHalt):
        inspection.next_layer(next_layer)
    client_says(next_layer, data)
    inspection.next_layer(next_layer)
    assert isinstance(next_layer.layer, expected)


def test_an_address_waits_for_its_sni_while_hosts_are_listed(inspection: Inspection) -> None:
    vars(inspection)["inspect_hosts"] = parse_hosts(["*.example.test"])
    next_layer = asked(modes.TransparentProxy, "10.1.1.1")
    with pytest.raises(exceptions.AddonHalt):
        inspection.next_layer(next_layer)
    assert tls.starts_like_tls_record(HELLO)
    client_says(next_layer, HELLO[:20])
    with pytest.raises(exceptions.AddonHalt):
        inspection.next_layer(next_layer)
    client_says(next_layer, HELLO[20:])
    inspection.next_layer(next_layer)
    assert isinstance(next_layer.layer, TunnelLayer)


def test_datagrams_of_unlisted_hosts_pass(inspection: Inspection) -> None:
    next_layer = asked(modes.TransparentProxy, "10.1.1.1", udp=True)
    inspection.next_layer(next_layer)
    assert isinstance(next_layer.layer, UDPLayer)
    assert next_layer.layer.flow is None


def test_name_servers_are_mitmproxys_business(inspection: Inspection) -> None:
    next_layer = asked(modes.TransparentProxy, "10.1.1.1", udp=True)
    next_layer.context.server.address = ("10.1.1.1", 53)
    inspection.next_layer(next_layer)
    assert next_layer.layer is None


def test_what_is_no_tunnel_or_already_decided_is_left_alone(inspection: Inspection) -> None:
    reverse = asked(modes.ReverseProxy, "10.1.1.1")
    inspection.next_layer(reverse)
    assert reverse.layer is None
    decided = asked(modes.TransparentProxy, "10.1.1.1")
    decided.layer = other = TCPLayer(decided.context)
    inspection.next_layer(decided)
    assert decided.layer is other


async def test_what_goes_wrong_opens_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("proxy_policies.inspection.addon.detect", lambda _: 1 / 0)
    policy = Inspection()
    with taddons.context(policy) as context:
        around = Context(tflow.tclient_conn(), context.options)
        around.server.address = ("10.1.1.1", 443)
        modes.TransparentProxy(around)
        next_layer = layer.NextLayer(around)
        policy.next_layer(next_layer)
        policy.done()
    assert isinstance(next_layer.layer, TunnelLayer)
    assert "a connection is left untouched" in caplog.text
