"""Every request and every tunnel is reported here once when it ends, whichever way it took. Pure.

Mitmproxy's hooks do not see all of them: hits that were learned have no flow, and a head that is no request has none
either. So whoever ends one reports it, and whoever wants to know of them subscribes, as the access log does. While
nobody has, nothing is put together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakSet

from proxy_policies.asked import Asked

CLIENT_CLOSED = 499
"""The status of a request whose client left before it was sent anything: nginx's."""

Address = tuple[Any, ...]
"""A host and a port, as sockets have them."""


@dataclass(slots=True, eq=False)
class Finished:
    """One request with its response, or one tunnel."""

    asked: Asked
    client: Address | None
    started: float
    """POSIX time in seconds."""
    seconds: float
    """Until the last of the response was given to the client's connection, or the tunnel was closed."""
    status: int
    """What the client was sent; 0: nothing."""
    sent: int | None = None
    """Bytes of the body that the client was sent, of a tunnel all; None where nobody counts."""
    received: int | None = None
    """Likewise that it sent."""
    is_tunnel: bool = False
    is_tls: bool = False
    """The client asked over TLS."""
    plain: int | None = None
    """Bytes of the body before we encoded it; None where we did not."""
    user: str = ""
    cache: str = ""
    """What Cache-Status says (RFC 9211): `hit`, or why it was forwarded; empty where the cache was not asked."""
    encoding: str = ""
    """The content codings of what was sent."""
    upstream: Address | None = None
    """Whom the response came from."""
    connect_seconds: float | None = None
    """That the connection to there took, where it was made for this."""
    upstream_seconds: float | None = None
    """From the end of the request to the head of the response."""
    error: str = ""


Again = tuple[Finished, Address, float]
"""What was answered before and was answered again, at once and with as much; to whom, and when (POSIX time)."""
Item = Finished | Again

Subscriber = Callable[[Sequence[Item]], None]
"""Called in the event loop with what has ended since the last time, in order: it may not wait, and raises nothing."""


class UnderWay(Protocol):
    """A request that has not ended."""

    @property
    def client_id(self) -> str:
        """The id of whose it is."""

    def report_now(self, error: str) -> None:
        """Report it as it is, with why it ends here; it is not reported again."""


UNDER_WAY: WeakSet[UnderWay] = WeakSet()
"""Those that began while somebody wanted to know."""
SUBSCRIBERS: list[Subscriber] = []
"""Those there are now. Look here before anything is put together for them."""
EVERY = 0.1
"""Seconds for which what has ended is gathered, for of hits there may be thousands in a second."""
_undelivered: list[Item] = []
"""What nobody was called with yet: as much as ends in that time."""


def subscribe(subscriber: Subscriber) -> Callable[[], None]:
    """Call a subscriber from now on, and return the function that ends it, once what has ended is delivered."""
    deliver()
    SUBSCRIBERS.append(subscriber)

    def unsubscribe() -> None:
        deliver()
        SUBSCRIBERS.remove(subscriber)

    return unsubscribe


def report(item: Item) -> None:
    """Deliver, before long, that something has ended or was answered again."""
    if not _undelivered:
        asyncio.get_running_loop().call_later(EVERY, deliver)
    _undelivered.append(item)


def deliver() -> None:
    """Call everybody with what has ended, without waiting for more."""
    items = _undelivered.copy()
    _undelivered.clear()
    if items:
        for subscriber in SUBSCRIBERS:
            subscriber(items)
