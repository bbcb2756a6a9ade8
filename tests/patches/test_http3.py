"""Heads of requests over HTTP/3, as mitmproxy's layer gets them."""

import pytest
from aioquic.h3.events import HeadersReceived
from mitmproxy import options
from mitmproxy.connection import Client
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._events import RequestHeaders, RequestProtocolError
from mitmproxy.proxy.layers.quic import SendQuicStreamData

from proxy_policies.patches.http3 import Server

VALID = {b":method": b"GET", b":scheme": b"https", b":authority": b"localhost", b":path": b"/"}


def server(*, is_strict: bool = True) -> Server:
    settings = options.Options()
    settings.add_option("validate_inbound_headers", bool, is_strict, "")
    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0, transport_protocol="udp")
    return Server(Context(client, settings))


def head(**pseudo: bytes) -> HeadersReceived:
    fields = VALID | {f":{name}".encode(): value for name, value in pseudo.items()}
    return HeadersReceived(headers=list(fields.items()), stream_id=0, stream_ended=True)


def test_a_valid_request_is_read() -> None:
    read = server().parse_headers(head())
    assert isinstance(read, RequestHeaders)
    assert (read.request.http_version, read.request.path, read.end_stream) == ("HTTP/3", "/", True)


@pytest.mark.parametrize("pseudo", [{"path": b"/a b"}, {"path": b"a"}, {"method": b"GE T"}, {"authority": b"a,b"}])
def test_an_invalid_one_is_answered_and_goes_to_no_layer(pseudo: dict[str, bytes]) -> None:
    layer = server()
    read = layer.parse_headers(head(**pseudo))
    assert isinstance(read, RequestProtocolError)
    sent = [command for command in layer.h3_conn.transmit() if isinstance(command, SendQuicStreamData)]
    assert [command.end_stream for command in sent if command.stream_id == 0] == [False, True]
    assert [error.status for error in layer._refused] == [400]


def test_one_is_taken_as_it_is_if_the_user_says_so() -> None:
    assert isinstance(server(is_strict=False).parse_headers(head(path=b"/a b")), RequestHeaders)
