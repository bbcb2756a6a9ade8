"""What a new connection has sent so far."""

import pytest
from mitmproxy.addons.next_layer import NeedsMoreData, NextLayer
from mitmproxy.connection import Server
from mitmproxy.options import Options
from mitmproxy.proxy import context, events, layer
from mitmproxy.test import taddons, tflow

from proxy_policies.inspection.hosts import Protocol
from proxy_policies.inspection.protocol_detection import detect, is_decided_by_mitmproxy, is_dns


def asked(client: bytes = b"", server: bytes = b"", transport: str = "tcp", port: int = 443) -> layer.NextLayer:
    made = context.Context(tflow.tclient_conn(), Options())
    made.client.transport_protocol = transport  # type: ignore[assignment]
    made.server = Server(address=("example.com", port), transport_protocol=transport)  # type: ignore[arg-type]
    asking = layer.NextLayer(made)
    asking.events = [events.DataReceived(made.client, client)] if client else []
    asking.events += [events.DataReceived(made.server, server)] if server else []
    return asking


@pytest.mark.parametrize(
    ("data", "protocol"),
    [
        (b"", Protocol.NOTHING),
        (b"\x16", Protocol.NOTHING),
        (b"GET / HTTP/1.1\r\n\r\n", Protocol.HTTP),
        (b"SSH-2.0-OpenSSH_9\r\n", Protocol.OTHER),
    ],
)
def test_what_the_client_sent(data: bytes, protocol: Protocol) -> None:
    assert detect(asked(data)) == (protocol, None)


def test_what_the_server_sends_first() -> None:
    assert detect(asked(server=b"220 ready\r\n")) == (Protocol.SERVER, None)


@pytest.mark.parametrize(("transport", "port", "dns"), [("udp", 53, True), ("udp", 443, False), ("tcp", 53, False)])
def test_datagrams_to_a_name_server(transport: str, port: int, dns: bool) -> None:
    assert is_dns(asked(transport=transport, port=port)) is dns


def test_mitmproxys_own_options_come_first() -> None:
    with taddons.context(NextLayer()) as master:
        assert not is_decided_by_mitmproxy(asked())
        master.options.update(ignore_hosts=["example"])
        with pytest.raises(NeedsMoreData):
            is_decided_by_mitmproxy(asked())
        assert is_decided_by_mitmproxy(asked(b"SSH-2.0-x\r\n"))
