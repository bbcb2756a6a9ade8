"""mitmproxy's handler of a client is found by the client's id; there may be none, and no proxy server."""

from types import SimpleNamespace
from typing import Any

from mitmproxy.addons import proxyserver
from mitmproxy.test import taddons, tflow

from proxy_policies.patches.client_handlers import handler_of, writer_to


def test_without_a_proxy_server_there_is_none() -> None:
    with taddons.context():
        assert handler_of("any") is None
        assert writer_to(tflow.tclient_conn()) is None


def test_a_handler_is_found_by_its_client() -> None:
    server, client = proxyserver.Proxyserver(), tflow.tclient_conn()
    handler: Any = SimpleNamespace(transports={})
    with taddons.context(server):
        assert handler_of(client.id) is None
        server.connections[client.id] = handler
        assert handler_of(client.id) is handler
        assert writer_to(client) is None
