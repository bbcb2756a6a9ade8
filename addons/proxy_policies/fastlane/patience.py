"""How long a client may keep a connection waiting that no machinery is at work for. Pure.

mitmproxy has one time-out, ten minutes without a byte, so that a byte now and then holds a connection for ever. The
values here are nginx's defaults, and so is the rule that the longest idle go first when there are too many.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Wait(Enum):
    """What a connection waits for; the values are what is said when that took too long."""

    NOTHING = ""
    """Not for its client: mitmproxy is at work."""
    REQUEST = "no request came"
    """For a request to begin, the first or the next."""
    HEAD = "the request's head did not come whole"
    READER = "the client does not take its answer"
    """For room to write."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for each wait, and how many connections may wait for a request."""

    head: float = 60.0
    """nginx's client_header_timeout, Squid's request_timeout: from its first byte to its last."""
    idle: float = 75.0
    """nginx's keepalive_timeout, Squid's client_idle_pconn_timeout."""
    send: float = 60.0
    """nginx's send_timeout: without one byte taken."""
    idle_most: int = 512
    """nginx's worker_connections, as far as they are idle."""

    def seconds(self, wait: Wait) -> float:
        """Give the limit of a wait."""
        return {Wait.REQUEST: self.idle, Wait.HEAD: self.head, Wait.READER: self.send}.get(wait, float("inf"))

    @property
    def between_looks(self) -> float:
        """Seconds between two looks at all connections."""
        return min(1.0, min(self.head, self.idle, self.send) / 4)


def limits_for(files: int) -> Limits:
    """Give the limits of a process that may open so many files: each client may need a server."""
    return Limits(idle_most=max(16, min(files // 2, 16384)))


def idlest(waited: Sequence[float], most: int) -> list[int]:
    """Give the positions of those to close, of connections that have waited so many seconds; none if there is room."""
    excess = len(waited) - most
    return heapq.nlargest(excess, range(len(waited)), key=waited.__getitem__) if excess > 0 else []
