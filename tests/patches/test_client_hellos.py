"""How long a ClientHello may be, in how many pieces it may come, and what is one."""

import os
from collections.abc import Callable, Iterator

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from mitmproxy.addons import next_layer
from mitmproxy.proxy.layers import tls
from mitmproxy.proxy.layers.quic import _stream_layers

from proxy_policies.patches.client_hellos import COMPANIONS, MAX_DATAGRAMS, MAX_RECORDS, MAX_SIZE, may_start_tls


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    undos = [undo for companion in COMPANIONS if (undo := companion.apply())]
    assert len(undos) == len(COMPANIONS)
    yield
    for undo in undos:
        undo()


def in_tls(hello: bytes, size: int) -> bytes:
    pieces = [hello[at : at + size] for at in range(0, len(hello), size)]
    return b"".join(b"\x16\x03\x01%b%b" % (len(piece).to_bytes(2), piece) for piece in pieces)


def in_dtls(hello: bytes, size: int) -> bytes:
    pieces = [hello[at : at + size] for at in range(0, len(hello), size)]
    return b"".join(b"\x16\xfe\xfd%b%b%b" % (bytes(8), len(piece).to_bytes(2), piece) for piece in pieces)


def hello_of(size: int) -> bytes:
    return b"\x01" + (size - 4).to_bytes(3) + os.urandom(size - 4)


def dtls_hello_of(size: int) -> bytes:
    return b"\x01" + (size - 12).to_bytes(3) + bytes(5) + (size - 12).to_bytes(3) + os.urandom(size - 12)


WAYS = [(in_tls, hello_of, tls.get_client_hello), (in_dtls, dtls_hello_of, tls.get_dtls_client_hello)]


@pytest.mark.parametrize(("in_records", "make", "read"), WAYS, ids=["TLS", "DTLS"])
@pytest.mark.parametrize(("size", "pieces"), [(400, 1), (1800, 2), (1800, MAX_RECORDS), (MAX_SIZE, 5)])
def test_complete_ones_are_read(
    in_records: Callable[[bytes, int], bytes],
    make: Callable[[int], bytes],
    read: Callable[[bytes], bytes | None],
    size: int,
    pieces: int,
) -> None:
    hello = make(size)
    data = in_records(hello, -(-size // pieces))
    assert read(data) == hello
    assert read(data[:-1]) is None


@pytest.mark.parametrize(("in_records", "make", "read"), WAYS, ids=["TLS", "DTLS"])
@pytest.mark.parametrize(("size", "piece"), [(1 << 20, 16384), (1 << 23, 1400), (1800, 1)])
def test_long_ones_are_refused_before_they_are_complete(
    in_records: Callable[[bytes, int], bytes],
    make: Callable[[int], bytes],
    read: Callable[[bytes], bytes | None],
    size: int,
    piece: int,
) -> None:
    data = in_records(make(size)[: MAX_SIZE + piece], piece)
    with pytest.raises(ValueError, match="too long"):
        read(data)


def test_one_over_quic_comes_in_few_datagrams() -> None:
    names = ["h3", *(f"{number:0200}" for number in range(9))]
    client = QuicConnection(configuration=QuicConfiguration(alpn_protocols=names, server_name="example.com"))
    client.connect(("127.0.0.1", 443), now=0)
    first, last = (datagram for datagram, _ in client.datagrams_to_send(now=0))
    parse = vars(_stream_layers)["quic_parse_client_hello_from_datagrams"]
    hello = parse([first, last])
    assert hello is not None
    assert hello.sni == "example.com"
    assert parse([first] * MAX_DATAGRAMS) is None
    with pytest.raises(ValueError, match="too long"):
        parse([first] * (MAX_DATAGRAMS + 1))


@pytest.mark.parametrize("module", [tls, next_layer])
@pytest.mark.parametrize(
    ("data", "protocol"),
    [
        ("160301", "tls"),
        ("160305", "tls"),
        ("1603ff", "tls"),
        ("16feff", "dtls"),
        ("16fefd", "dtls"),
        ("16fefc", "dtls"),
        ("1603", ""),
        ("16fe", ""),
        ("150301", ""),
    ],
)
def test_a_record_is_recognised_whatever_version_it_states(module: object, data: str, protocol: str) -> None:
    """OpenSSL's DTLS clients state 1.0, feff, in their first record."""
    kinds = [kind for kind in ("tls", "dtls") if getattr(module, f"starts_like_{kind}_record")(bytes.fromhex(data))]
    assert "".join(kinds) == protocol


@pytest.mark.parametrize(("data", "expected"), [("802e0103", True), ("802e0100", False), ("802e01", False)])
def test_a_client_hello_in_the_form_of_ssl_2_is_recognised_and_cannot_be_read(data: str, expected: bool) -> None:
    assert vars(next_layer)["starts_like_tls_record"](bytes.fromhex(data)) is expected
    assert may_start_tls(bytes.fromhex(data)) is (data == "802e01")
    with pytest.raises(ValueError, match="Expected TLS record"):
        tls.parse_client_hello(bytes.fromhex("802e0103030003000000200000"))
