"""Taking leave of a client: until it has ended, is silent, or has gone on for too long."""

from __future__ import annotations

from typing import Any

import pytest
from mitmproxy import options
from mitmproxy.connection import Client
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator

from proxy_policies.patches.lingering import ROUNDS, Lingering


class Side(Lingering):
    """Nothing but the end of a connection."""

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        return self.handle_while_lingering(event)


@pytest.fixture
def client() -> Client:
    return Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0)


@pytest.fixture
def side(client: Client) -> Lingering:
    side = Side(Context(client, options.Options()), client)
    half_close, wakeup = side.linger()
    assert isinstance(half_close, commands.CloseTcpConnection)
    assert half_close.half_close
    assert isinstance(wakeup, commands.RequestWakeup)
    return side


def kinds(side: Lingering, event: events.Event) -> list[Any]:
    return [type(command) for command in side.handle_while_lingering(event)]


def wakeup() -> events.Wakeup:
    return events.Wakeup(commands.RequestWakeup(0))


def test_a_client_that_ends_is_closed(side: Lingering, client: Client) -> None:
    assert kinds(side, events.ConnectionClosed(client)) == [commands.CloseConnection]


def test_a_silent_client_is_closed(side: Lingering) -> None:
    assert kinds(side, wakeup()) == [commands.CloseConnection]


def test_a_client_that_goes_on_is_waited_for(side: Lingering, client: Client) -> None:
    for _ in range(ROUNDS):
        assert kinds(side, events.DataReceived(client, b"x")) == []
        assert kinds(side, wakeup()) == [commands.RequestWakeup]
    assert kinds(side, events.DataReceived(client, b"x")) == []
    assert kinds(side, wakeup()) == [commands.CloseConnection]
