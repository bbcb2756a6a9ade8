"""What the next proxy may send before its response to CONNECT, however it is split."""

import pytest
from mitmproxy.connection import Server
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy
from mitmproxy.test import tflow

from proxy_policies.http1.framing import INTERIM_LIMIT
from proxy_policies.http1.response_heads import HEAD_LIMIT
from proxy_policies.patches.http_stream.connect_responses import COMPANION

INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
receive = COMPANION.wrap(HttpUpstreamProxy.receive_handshake_data)


def next_proxy() -> HttpUpstreamProxy:
    context = Context(tflow.tclient_conn(), Options())
    context.server.address = ("origin.test", 443)
    return HttpUpstreamProxy(context, Server(address=("proxy.test", 8080)), send_connect=True)


def outcome(*pieces: bytes) -> tuple[bool, str | None]:
    """Return what the layer says of the last piece that it needed."""
    layer = next_proxy()
    said: tuple[bool, str | None] = (False, None)
    for piece in pieces:
        said = returned(receive(layer, piece))
        if said != (False, None):
            break
    return said


def returned(generator: CommandGenerator[tuple[bool, str | None]]) -> tuple[bool, str | None]:
    """Return what a generator returns; its commands are lines for the log."""
    try:
        while True:
            next(generator)
    except StopIteration as end:
        result: tuple[bool, str | None] = end.value
        return result


@pytest.mark.parametrize("before", [b"", b"\r\n", INTERIM, b"\r\n" + INTERIM * 2, INTERIM * (INTERIM_LIMIT - 1)])
def test_it_is_read_wherever_it_is_split(before: bytes) -> None:
    head = before + b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n"
    for at in [*range(1, min(len(head), 150)), len(head) - 1]:
        assert outcome(head[:at], head[at:]) == (True, None)
    assert outcome(*(bytes([byte]) for byte in head)) == (True, None)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (INTERIM + b"HTTP/1.1 403 No\r\n\r\n", "refused HTTP CONNECT request: 403 No"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "refused HTTP CONNECT request: 101 Switching"),
        (INTERIM * (INTERIM_LIMIT + 1), f"over {INTERIM_LIMIT} interim responses"),
        (b"\r\n" * (INTERIM_LIMIT + 1), f"over {INTERIM_LIMIT} interim responses"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * HEAD_LIMIT, f"over {HEAD_LIMIT} bytes"),
    ],
    ids=["refused", "another protocol", "interim without an end", "empty lines", "a head without an end"],
)
def test_what_is_none_ends_the_attempt(data: bytes, said: str) -> None:
    opened, error = outcome(data)
    assert not opened
    assert error is not None
    assert said in error
