"""What mitmproxy's connections wait for."""

from types import SimpleNamespace
from typing import Any

from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.server import ConnectionIO
from mitmproxy.test import taddons, tflow

from proxy_policies.limits.connections import MitmproxyConnection
from proxy_policies.waits import Wait


class Transport:
    """As much of a transport as is looked at."""

    def __init__(self) -> None:
        self.aborted = self.closing = False
        self.waiting = 0

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def get_extra_info(self, name: str) -> None:
        return None

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = self.closing = True


def handler_of(transport: Transport, make_layer: Any = modes.HttpProxy) -> Any:
    client = tflow.tclient_conn()
    client.tls = False
    with taddons.context() as context:
        around = Context(client, context.options)
    layer = make_layer(around)
    logged: list[str] = []
    return SimpleNamespace(
        client=client,
        layer=layer,
        transports={client: ConnectionIO(writer=SimpleNamespace(transport=transport, close=transport.close))},  # type: ignore[arg-type]
        log=logged.append,
        logged=logged,
    )


def test_a_connection_that_is_closing_waits_for_nothing() -> None:
    transport = Transport()
    connection = MitmproxyConnection(handler_of(transport), 0.0)
    transport.closing = True
    assert connection.waits(5.0)[0] is Wait.NOTHING


def test_a_tls_handshake_that_does_not_end() -> None:
    handler = handler_of(Transport())
    handler.client.tls, handler.client.timestamp_tls_setup = True, None
    connection = MitmproxyConnection(handler, 0.0)
    connection.waits(1.0)
    assert connection.waits(4.0) == (Wait.HANDSHAKE, 3.0, 0)


def test_it_is_closed_with_a_line_that_says_why() -> None:
    transport = Transport()
    handler = handler_of(transport)
    connection = MitmproxyConnection(handler, 0.0)
    connection.close(Wait.REQUEST, 75.0)
    assert transport.closing
    assert not transport.aborted
    assert handler.logged == ["closing connection: no request for 75 s"]
    assert connection.waits(80.0) == (Wait.NOTHING, 0.0, 0)


def test_one_that_takes_nothing_is_aborted() -> None:
    transport = Transport()
    MitmproxyConnection(handler_of(transport), 0.0).close(Wait.READER, 60.0)
    assert transport.aborted


def test_what_has_no_transport_any_more() -> None:
    handler = handler_of(Transport())
    handler.transports.clear()
    connection = MitmproxyConnection(handler, 0.0)
    assert connection.waits(1.0) == (Wait.NOTHING, 0.0, 0)
    connection.close(Wait.REQUEST, 1.0)
