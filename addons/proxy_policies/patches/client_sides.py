"""Registry of the sides that clients are connected to, and what each of them waits for.

A side is a layer of mitmproxy that speaks HTTP with a client or with an origin.
"""

from __future__ import annotations

import itertools
from typing import Protocol
from weakref import WeakValueDictionary

from mitmproxy.connection import Client
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer

from proxy_policies.waits import Waiting


class AnySide(Protocol):
    """A layer that speaks HTTP with one peer."""

    context: Context


class ClientSide(AnySide, Protocol):
    """A layer that reads a client's requests."""

    @property
    def is_tunnel(self) -> bool:
        """Return whether its bytes are not, or no longer, HTTP."""

    def waiting(self) -> Waiting:
        """Return what it waits for from its client."""

    def is_full(self) -> bool:
        """Return whether to read nothing more from the client for now."""

    def unsent(self) -> int:
        """Count the response bytes that it holds until the client accepts them."""


_sides: WeakValueDictionary[str, ClientSide] = WeakValueDictionary()


class TimedOut(commands.RequestWakeup):
    """Makes a side disconnect its client: what it waited for did not arrive in time."""

    def __init__(self, why: str) -> None:
        super().__init__(0)
        self.why = why


def register(client: Client, side: ClientSide) -> None:
    """Register a client's innermost side: one inside an intercepted tunnel replaces that of the tunnel."""
    _sides[client.id] = side


def side_of(client: Client) -> ClientSide | None:
    """Return the side that speaks HTTP with a client; None if there is none."""
    return _sides.get(client.id)


def time_out(side: ClientSide, why: str) -> events.Event:
    """Return the event that makes a side disconnect its client; pass it to the connection's topmost layer."""
    return wake(side, TimedOut(why))


def wake(side: AnySide, command: commands.RequestWakeup) -> events.Event:
    """Return the event that delivers a command's wakeup to a side; pass it to the connection's topmost layer."""
    for above, below in itertools.pairwise(side.context.layers):  # from the topmost to the side itself
        if isinstance(above, HttpLayer):  # forwards wakeups to the child that requested them
            above.command_sources[command] = below
    return events.Wakeup(command)


def why_timed_out(event: events.Event) -> str:
    """Return why an event disconnects the client; "" if it does not."""
    return event.command.why if isinstance(event, events.Wakeup) and isinstance(event.command, TimedOut) else ""
