"""Reports every request and every tunnel once when it ends, also those on fast paths. Pure.

mitmproxy's hooks do not see all of them: repeated hits have no flow, nor have invalid request heads. So the code that
ends one reports it, to subscribers such as the access log. While there are no subscribers, no records are created.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from weakref import WeakSet

from proxy_policies.addresses import SocketAddress
from proxy_policies.flows.request_summary import RequestSummary

CLIENT_CLOSED = 499
"""nginx's status for a request whose client left before any response was sent."""
CLIENT_LEFT = "Client disconnected."
"""mitmproxy's error of a flow whose client left."""
PROXY_ENDED = "the proxy has ended"
"""The error of requests and tunnels in progress when the proxy ends."""


@dataclass(slots=True, eq=False)
class Record:
    """One request with its response, or one tunnel, that has ended."""

    request: RequestSummary
    client: SocketAddress | None
    started: float
    """POSIX time in seconds."""
    seconds: float
    """Until the response was completely written to the client's connection, or the tunnel was closed."""
    status: int
    """The status sent to the client; 0 if none."""
    sent: int | None = None
    """Bytes of the body sent to the client, for a tunnel all bytes; None if they are not counted."""
    received: int | None = None
    """Bytes received from the client, counted likewise."""
    is_tunnel: bool = False
    is_tls: bool = False
    """The request was received over TLS."""
    plain: int | None = None
    """Bytes of the body before we encoded it; None if we did not."""
    user: str = ""
    cache: str = ""
    """The word of Cache-Status (RFC 9211): `hit`, or the reason for forwarding; empty if the cache was not involved."""
    encoding: str = ""
    """The content codings of the response as sent."""
    upstream: SocketAddress | None = None
    """The server that sent the response."""
    connect_seconds: float | None = None
    """The time to connect to it; None if an open connection was used."""
    upstream_seconds: float | None = None
    """From the end of the request to the head of the response."""
    error: str = ""
    is_repeated: bool = False
    """A learned response that is sent without delay, any number of times, to any client."""

    @property
    def item(self) -> Item:
        """The record as it is reported once."""
        return self, self.client, self.started + self.seconds

    def repeated(self) -> Record:
        """Return the record of the same response when it is sent again."""
        return replace(self, seconds=0.0, connect_seconds=None, upstream_seconds=None, is_repeated=True)


type Mask = Callable[[str], str]
"""Returns a text of a client with the secrets in it masked."""

Item = tuple[Record, SocketAddress | None, float]
"""A record, the client's address, and when it ended (POSIX time, seconds)."""

Subscriber = Callable[[Sequence[Item]], None]
"""Called in the event loop with the items since the last call, in order. It must not block or raise."""


class InProgress(Protocol):
    """A request that has not ended."""

    @property
    def client_id(self) -> str:
        """The id of its client."""

    def report_now(self, error: str) -> None:
        """Report the request in its present state, once, with an error."""


IN_PROGRESS: WeakSet[InProgress] = WeakSet()
"""Requests in mitmproxy's layers that began while there were subscribers."""
SUBSCRIBERS: list[Subscriber] = []
"""The present subscribers. Do not create records while it is empty."""
DELIVERY_INTERVAL = 0.1
"""Seconds for which items are collected, as there may be thousands of hits in a second."""


def subscribe(subscriber: Subscriber) -> Callable[[], None]:
    """Add a subscriber, and return the function that removes it after delivering the items so far."""
    deliver()
    SUBSCRIBERS.append(subscriber)

    def unsubscribe() -> None:
        deliver()
        SUBSCRIBERS.remove(subscriber)

    return unsubscribe


def report(record: Record) -> None:
    """Have a record delivered within DELIVERY_INTERVAL."""
    UNDELIVERED.add(record.item)


def deliver() -> None:
    """Call the subscribers with the items so far."""
    UNDELIVERED.deliver()


class _Undelivered:
    """The items since the last delivery."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self.add: Callable[[Item], None] = self._add_first
        """Has an item delivered within DELIVERY_INTERVAL; after the first, it is the list's own method."""

    def _add_first(self, item: Item) -> None:
        asyncio.get_running_loop().call_later(DELIVERY_INTERVAL, self.deliver)
        self.add = self._items.append
        self.add(item)

    def deliver(self) -> None:
        items, self._items, self.add = self._items, [], self._add_first
        if items:
            for subscriber in SUBSCRIBERS:
                subscriber(items)


UNDELIVERED = _Undelivered()
