"""What a connection waits for its client to do, and for how long it may. Pure; times are seconds of one clock."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum

BODY_RATE = 500
"""Bytes that buy a request's body one more second: Apache's RequestReadTimeout has MinRate=500."""


LINGERING_TIMEOUT = 5.0
"""Seconds without a byte after which a client that is being closed is cut off: nginx's lingering_timeout."""
LINGERING_TIME = 30.0
"""Seconds after which it is cut off though it goes on sending: nginx's lingering_time."""


class Wait(Enum):
    """What a connection waits for; the values are what is said when that took too long."""

    NOTHING = ""
    """Not for its client: for an origin, for an addon, or for whatever is said in a tunnel."""
    REQUEST = "no request came"
    """For a request to begin, the first or the next."""
    HANDSHAKE = "the TLS handshake did not end"
    HEAD = "the request's head did not come whole"
    BODY = "the request's body comes too slowly"
    READER = "the client does not take its answer"
    DATAGRAM = "no datagram came"
    """Has no limit of its own: mitmproxy's is 20 s."""
    ORIGIN = "nothing came from the origin"
    """Has no limit of its own: mitmproxy's `tcp_timeout` is one for every wait."""


FOR_MORE = frozenset({Wait.REQUEST, Wait.HANDSHAKE, Wait.HEAD, Wait.BODY, Wait.DATAGRAM})
"""Waits for the client to say more: such connections are closed when there are too many of them."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that each wait may last; 0: without an end."""

    head: float = 60.0
    """nginx's client_header_timeout, Squid's request_timeout: from its first byte to its last."""
    body: float = 60.0
    """nginx's client_body_timeout; and one more for each BODY_RATE bytes that have come."""
    idle: float = 75.0
    """nginx's keepalive_timeout, Squid's client_idle_pconn_timeout."""
    send: float = 60.0
    """nginx's send_timeout: without one byte taken."""
    handshake: float = 60.0
    """nginx waits for a TLS handshake as long as for a head."""

    def seconds(self, wait: Wait, received: int) -> float:
        """Return the limit of a wait in which so many bytes have come."""
        limits = {
            Wait.REQUEST: self.idle,
            Wait.HANDSHAKE: self.handshake,
            Wait.HEAD: self.head,
            Wait.BODY: self.body and self.body + received / BODY_RATE,
            Wait.READER: self.send,
        }
        return limits.get(wait) or float("inf")

    @property
    def between_looks(self) -> float:
        """Seconds between two looks at all connections."""
        shortest = min(filter(None, (self.head, self.body, self.idle, self.send, self.handshake)), default=80.0)
        return min(5.0, shortest / 16)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a connection waits for at one moment."""

    wait: Wait = Wait.NOTHING
    which: Hashable = None
    """Differs from one wait of a kind to the next: the number of a request, say."""
    received: int = 0
    """Bytes that came from the client, ever."""


NOT_WAITING = Waiting()


class Stopwatch:
    """Measures how long a connection has been waiting for the same thing, by a look at it now and then."""

    def __init__(self, now: float, which: Hashable = None) -> None:
        self._seen = Waiting(Wait.REQUEST, which)
        self._since, self._received = now, 0

    def look(self, waiting: Waiting, now: float) -> tuple[Wait, float, int]:
        """Return what is waited for, for how many seconds, and how many bytes came in that time."""
        before, self._seen = self._seen, waiting
        if (waiting.wait, waiting.which) != (before.wait, before.which):
            self._since, self._received = now, waiting.received
        return waiting.wait, now - self._since, waiting.received - self._received


def most_connections(files: int) -> int:
    """Return how many connections a process may have that may open so many files: each may need an origin."""
    return max(16, min(files // 2, 16384))


def longest_waiting(waited: Sequence[float], excess: int) -> list[int]:
    """Return the positions of those to close, `excess` of those that have waited so many seconds: the longest."""
    return heapq.nlargest(excess, range(len(waited)), key=waited.__getitem__) if excess > 0 else []
