"""What is said of an untouched tunnel."""

from mitmproxy.proxy.context import Context
from mitmproxy.test import taddons, tflow

from proxy_policies import trace
from proxy_policies.passthrough.addon import Passthrough
from proxy_policies.passthrough.layer import TunnelLayer, tunnel_of
from proxy_policies.passthrough.tunnel import Tunnel


def test_lines() -> None:
    tunnel = Tunnel("127.0.0.1:5", "example.test:443", "not in inspect_hosts", opened=100)
    assert tunnel.opening() == "tunnel 127.0.0.1:5 → example.test:443 opened, not in inspect_hosts"
    tunnel.count(True, 10)
    tunnel.count(False, 7)
    tunnel.count(True, 1)
    assert tunnel.closing(102.26) == ("tunnel 127.0.0.1:5 → example.test:443 closed, 11 bytes up, 7 bytes down, 2.3 s")
    assert tunnel.closing(99, "no connection").endswith("0.0 s: no connection")


def test_a_tunnel_is_a_flow_without_content() -> None:
    with taddons.context() as context:
        around = Context(tflow.tclient_conn(), context.options)
        around.server = tflow.tserver_conn()
        layer = TunnelLayer(around, "not in inspect_hosts")
        assert layer.flow is None
        assert layer.is_passthrough
        layer.relayed(True, 3)
        assert layer.shown.messages == []
        known = tunnel_of(layer.shown)
        assert known is not None
        assert known.bytes_up == 3
        policy = Passthrough()
        policy.tcp_start(layer.shown)
        policy.tcp_end(layer.shown)
        policy.tcp_start(other := tflow.ttcpflow())
        assert [note["verdict"] for note in trace.notes(layer.shown)] == ["untouched", "closed"]
        assert trace.notes(layer.shown)[1]["bytes_up"] == 3
        assert trace.notes(other) == []
