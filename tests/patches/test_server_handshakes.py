"""The time limit of a handshake with an upstream, in memory."""

from collections.abc import Iterator

import pytest
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator, Layer
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy
from mitmproxy.test import taddons, tflow

from proxy_policies.outbound.dial import Dialer
from proxy_policies.patches.server_handshakes import COMPANION, CONNECT_RESPONSE, Deadline

NEXT_PROXY = ("proxy.test", 8080)


class Opener(Layer):
    """Opens a connection, and notes everything that it is told."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.told: list[object] = []

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        if isinstance(event, events.Start):
            self.told.append((yield commands.OpenConnection(self.context.server)))
        else:
            self.told.append(event)


@pytest.fixture
def opener() -> Iterator[Opener]:
    """Open a connection through another proxy, which has been sent CONNECT."""
    with taddons.context(dialer := Dialer()) as master:
        undo = COMPANION.apply()
        assert undo
        context = Context(tflow.tclient_conn(), master.options)
        context.server.address = ("origin.test", 443)
        top = HttpUpstreamProxy(context, Server(address=NEXT_PROXY), send_connect=True)
        opener = top.child_layer = Opener(context)
        yield opener
        undo()
        dialer.done()


def handle(opener: Opener, event: events.Event) -> list[commands.Command]:
    """Have the topmost layer handle an event, and return its commands, which succeed."""
    pending, made = [event], list[commands.Command]()
    for one in pending:
        for command in opener.context.layers[0].handle_event(one):
            made.append(command)
            if isinstance(command, commands.OpenConnection):
                command.connection.state = ConnectionState.OPEN
                pending.append(events.OpenConnectionCompleted(command, None))
            elif isinstance(command, commands.StartHook):
                pending.append(events.HookCompleted(command))
    return made


def sent_connect(opener: Opener) -> tuple[Server, Deadline]:
    made = handle(opener, events.Start())
    deadline, sent = made[-1], made[-2]
    assert isinstance(deadline, Deadline)
    assert isinstance(sent, commands.SendData)
    assert isinstance(sent.connection, Server)
    assert deadline.delay == CONNECT_RESPONSE
    return sent.connection, deadline


def test_a_proxy_that_does_not_answer(opener: Opener) -> None:
    next_proxy, deadline = sent_connect(opener)
    assert handle(opener, events.DataReceived(next_proxy, b"HTTP/1.1 200")) == []
    made = handle(opener, events.Wakeup(deadline))
    assert [type(command) for command in made] == [commands.CloseConnection]
    assert opener.told == ["the next proxy has not answered in time"]


def test_one_that_has_answered(opener: Opener) -> None:
    next_proxy, deadline = sent_connect(opener)
    handle(opener, events.DataReceived(next_proxy, b"HTTP/1.1 200 OK\r\n\r\n"))
    assert handle(opener, events.Wakeup(deadline)) == []
    assert opener.told == [None]
