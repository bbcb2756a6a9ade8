"""What a connection waits for from its client, and for how long it may. Pure; times are seconds of one clock."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum

BODY_RATE = 500
"""Bytes that earn a request's body one more second: Apache's RequestReadTimeout has MinRate=500."""


LINGERING_TIMEOUT = 5.0
"""Seconds without a byte after which a client that is being closed is cut off: nginx's lingering_timeout."""
LINGERING_TIME = 30.0
"""Seconds after which it is cut off even if it keeps sending: nginx's lingering_time."""


class Wait(Enum):
    """What a connection waits for. The values are what is logged, with the seconds, when that takes too long."""

    NOTHING = ""
    """Not for its client: for an origin, for an addon, or for data in a tunnel."""
    REQUEST = "no request"
    """For a request to begin, the first or the next."""
    HANDSHAKE = "TLS handshake incomplete"
    HEAD = "request head incomplete"
    BODY = "request body received too slowly"
    READER = "response not read by the client"
    DATAGRAM = "no datagram"
    """Has no limit of its own: mitmproxy's is 20 s."""
    ORIGIN = "nothing received from the origin"
    """Has no limit of its own: mitmproxy's `tcp_timeout` is one for every wait."""

    def reason(self, seconds: float) -> str:
        """Return why a connection is closed after waiting for so long."""
        return f"{self.value} for {seconds:.0f} s"


FOR_MORE = frozenset({Wait.REQUEST, Wait.HANDSHAKE, Wait.HEAD, Wait.BODY, Wait.DATAGRAM})
"""Waits for more data from the client: these connections are closed if there are too many."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that each wait may last; 0: no limit."""

    head: float = 60.0
    """nginx's client_header_timeout, Squid's request_timeout: from its first byte to its last."""
    body: float = 60.0
    """nginx's client_body_timeout, plus one for every BODY_RATE bytes received."""
    idle: float = 75.0
    """nginx's keepalive_timeout, Squid's client_idle_pconn_timeout."""
    send: float = 60.0
    """nginx's send_timeout: no byte accepted."""
    handshake: float = 60.0
    """As in nginx, the same as for a head."""

    def seconds(self, wait: Wait, received: int) -> float:
        """Return the limit of a wait during which `received` bytes arrived."""
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
        """Seconds between two checks of all connections."""
        shortest = min(filter(None, (self.head, self.body, self.idle, self.send, self.handshake)), default=80.0)
        return min(5.0, shortest / 16)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a connection waits for at one moment."""

    wait: Wait = Wait.NOTHING
    which: Hashable = None
    """Distinguishes successive waits of a kind, such as by the number of a request."""
    received: int = 0
    """All bytes received from the client so far."""


NOT_WAITING = Waiting()


class Stopwatch:
    """Measures how long a connection has been waiting for the same thing, by periodic checks."""

    def __init__(self, now: float, which: Hashable = None) -> None:
        self._seen = Waiting(Wait.REQUEST, which)
        self._since, self._received = now, 0

    def look(self, waiting: Waiting, now: float) -> tuple[Wait, float, int]:
        """Return what is awaited, for how many seconds, and how many bytes arrived meanwhile."""
        before, self._seen = self._seen, waiting
        if (waiting.wait, waiting.which) != (before.wait, before.which):
            self._since, self._received = now, waiting.received
        return waiting.wait, now - self._since, waiting.received - self._received


def most_connections(files: int) -> int:
    """Return how many connections a process with this limit on files may have: each may need another to an origin."""
    return max(16, min(files // 2, 16384))


def longest_waiting(waited: Sequence[float], excess: int) -> list[int]:
    """Return the positions of the `excess` longest waits to close."""
    return heapq.nlargest(excess, range(len(waited)), key=waited.__getitem__) if excess > 0 else []
