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
        (b"\x80\x2e\x01", Protocol.NOTHING),
        (b"\xff\xfd\x03", Protocol.OTHER),
        (b"GET / HTTP/1.1\r\n\r\n", Protocol.HTTP),
        (b"SSH-2.0-OpenSSH_9\r\n", Protocol.OTHER),
    ],
)
def test_what_the_client_sent(data: bytes, protocol: Protocol) -> None:
    assert detect(asked(data)) == (protocol, None)


UNREADABLE = {
    "TLS, an empty record first": ("tcp", b"\x16\x03\x01\0\0\x16\x03\x01\0\x10" + bytes(16)),
    "TLS, in the form of SSL 2.0": ("tcp", b"\x80\x2e\x01\x03\x03" + bytes(43)),
    "DTLS": ("udp", b"\x16\xfe\xfd" + bytes(8) + b"\0\x10" + bytes(16)),
    "QUIC version 1": ("udp", b"\xc0\0\0\0\1\x08" + bytes(40)),
    "QUIC version 2": ("udp", b"\xd0\x6b\x33\x43\xcf\x08" + bytes(40)),
}


@pytest.mark.parametrize(("transport", "data"), UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("port", [443, 4433])
def test_a_handshake_that_mitmproxy_cannot_read_is_one(transport: str, data: bytes, port: int) -> None:
    """The server may be able to read it: it must not pass untouched to a host in inspect_hosts."""
    assert detect(asked(data, transport=transport, port=port)) == (Protocol.UNREADABLE, None)


@pytest.mark.parametrize("data", [b"\x80\0" + bytes(40), b"\x40" + bytes(40)], ids=["RTP", "a short header"])
def test_other_datagrams_are_no_handshake(data: bytes) -> None:
    assert detect(asked(data, transport="udp")) == (Protocol.OTHER, None)


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
