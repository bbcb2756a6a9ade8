"""The side of the proxy that speaks HTTP with a client, and what it waits for."""

from __future__ import annotations

import itertools
from typing import Protocol
from weakref import WeakValueDictionary

from mitmproxy.connection import Client
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer

from proxy_policies.waits import Waiting


class Side(Protocol):
    """A layer that speaks HTTP with a client or an origin."""

    context: Context


class ClientSide(Side, Protocol):
    """A layer that reads a client's requests."""

    @property
    def is_tunnel(self) -> bool:
        """Return whether its bytes are no HTTP (any more)."""

    def waiting(self) -> Waiting:
        """Return what it waits for its client to do."""

    def is_full(self) -> bool:
        """Return whether it has enough of what the client says for the moment."""

    def unsent(self) -> int:
        """Count the bytes of responses that it keeps until the client takes them."""


_sides: WeakValueDictionary[str, ClientSide] = WeakValueDictionary()


class TimedOut(commands.RequestWakeup):
    """Has a side time its client out: what it waits for did not come."""

    def __init__(self, why: str) -> None:
        super().__init__(0)
        self.why = why


def register(client: Client, side: ClientSide) -> None:
    """Take note of a client's innermost side: that in an opened tunnel takes the tunnel's place."""
    _sides[client.id] = side


def side_of(client: Client) -> ClientSide | None:
    """Return the side that speaks HTTP with a client; None when there is none."""
    return _sides.get(client.id)


def time_out(side: ClientSide, why: str) -> events.Event:
    """Make the event that has a side time its client out; to be handled by the connection's topmost layer."""
    return wake(side, TimedOut(why))


def wake(side: Side, command: commands.RequestWakeup) -> events.Event:
    """Make the event that has a side do something; to be handled by the connection's topmost layer."""
    for above, below in itertools.pairwise(side.context.layers):  # from the topmost to the side itself
        if isinstance(above, HttpLayer):  # sends on what its children asked for
            above.command_sources[command] = below
    return events.Wakeup(command)


def why_timed_out(event: events.Event) -> str:
    """Return why an event has the client timed out; "" when it has not."""
    return event.command.why if isinstance(event, events.Wakeup) and isinstance(event.command, TimedOut) else ""
