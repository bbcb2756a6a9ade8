"""Which responder takes a request, and who has a say in that."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons, tflow

from proxy_policies.connection.responders import Responders
from proxy_policies.dispatch.dispatcher import HookTable
from proxy_policies.exchange.exchange import Exchange
from proxy_policies.exchange.origin_connections import Destination, OriginPool, Origins
from proxy_policies.fast_paths import PATHS

GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
ABSOLUTE = b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"
ORIGIN = Destination("https", "origin.test", 443)


class Watcher:
    def response(self, flow: Any) -> None: ...


@pytest.fixture
def context() -> Iterator[taddons.context]:
    with taddons.context(Proxyserver()) as context:
        yield context


@pytest.fixture
def responders(context: taddons.context) -> Responders:
    made = Responders()
    made.table = HookTable(context.master.addons)
    return made


async def nothing(_: type[StartHook], data: object) -> None: ...


def connection(destination: Destination | None = None, mode: str = "regular") -> Any:
    client = tflow.tclient_conn()
    client.proxy_mode = ProxyMode.parse(mode)
    return SimpleNamespace(
        client=client,
        stream=SimpleNamespace(received=bytearray()),
        origins=Origins(client, nothing, destination, OriginPool()),
        trigger=nothing,
        destination=destination,
    )


@pytest.mark.parametrize(("head", "destination"), [(ABSOLUTE, None), (GET, ORIGIN)])
def test_a_plain_request_is_an_exchange(responders: Responders, head: bytes, destination: Destination | None) -> None:
    exchange = responders.response_to(connection(destination), head)
    assert isinstance(exchange, Exchange)
    request = exchange.flow.request
    assert (request.scheme, request.host) == (("https", "origin.test") if destination else ("http", "a.test"))
    assert responders.counts()["exchanges"] == 1


@pytest.mark.parametrize(
    ("head", "destination"),
    [
        (GET, None),
        (ABSOLUTE, ORIGIN),
        (ABSOLUTE.replace(b"a.test", b"web.office.internal"), None),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", None),
        (ABSOLUTE.replace(b"\r\n\r\n", b"\r\nUpgrade: websocket\r\n\r\n"), None),
        (b"GET http://a.test:99999/ HTTP/1.1\r\nHost: a.test:99999\r\n\r\n", None),
    ],
)
def test_others_are_mitmproxys(responders: Responders, head: bytes, destination: Destination | None) -> None:
    assert responders.response_to(connection(destination), head) is None
    assert responders.send_learned(connection(destination)) is False
    assert not any(responders.counts().values())


def test_closed(responders: Responders, context: taddons.context) -> None:
    """By an addon that said nothing of it, by an option, and by the policy itself."""
    mode = ProxyMode.parse("regular")
    assert responders.paths(mode) == {*PATHS}
    context.master.addons.add(watcher := Watcher())
    assert responders.response_to(connection(), ABSOLUTE) is None
    context.master.addons.remove(watcher)
    assert responders.is_open("exchanges")
    context.options.update(body_size_limit="1m")
    responders.reconsider(learns=False)
    assert not responders.is_open("exchanges")
    context.options.update(body_size_limit=None)
    responders.reconsider(learns=False)
    assert responders.is_open("exchanges")
    responders.table = None
    assert not responders.paths(mode)
    assert responders.response_to(connection(), ABSOLUTE) is None


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("regular", PATHS),
        ("reverse:http://a.test", ("hits", "exchanges")),
        ("socks5", ()),
        ("upstream:http://a.test:1", ()),
    ],
)
def test_modes(responders: Responders, mode: str, expected: tuple[str, ...]) -> None:
    assert responders.paths(ProxyMode.parse(mode)) == {*expected}


def test_a_user_who_wants_origins_dialled_at_once(responders: Responders, context: taddons.context) -> None:
    context.options.update(connection_strategy="eager")
    assert not responders.paths(ProxyMode.parse("reverse:http://a.test"))
