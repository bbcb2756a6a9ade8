"""The sessions that live: one visit for each client, for `tunnel.status`, `tunnel.close` and whoever watches."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from proxy_policies.relay.link import Counts
from proxy_policies.relay.transports import Tap
from proxy_policies.reverse_tunnel.limits import Limits, Sessions
from proxy_policies.reverse_tunnel.names import Address
from proxy_policies.reverse_tunnel.services import show_address

_numbers = itertools.count(1)


@dataclass(eq=False)
class Visit:
    """One client's use of one service. `close` ends it; times in seconds since the epoch."""

    service: str
    work: str
    client: Address | None
    entrance: Address | None
    close: Callable[[], object]
    number: int = field(default_factory=lambda: next(_numbers))
    started: float = field(default_factory=time.time)
    counts: Counts = field(default_factory=Counts)
    tap: Tap | None = None  # shown the bytes, if somebody keeps them

    @property
    def target(self) -> str:
        """The service as the client asked for it."""
        return f"{self.service}@{self.work}" if self.work else self.service

    @property
    def source(self) -> str:
        """The client, for people."""
        return show_address(self.client) if self.client else "this proxy"

    def account(self) -> str:
        """Say what went through: bytes from the client and to it, and for how long."""
        return self.counts.account(time.time() - self.started)


class Watcher(Protocol):
    """Somebody who wants to know of visits."""

    async def opened(self, visit: Visit) -> None:
        """Learn that a client has come."""

    async def linked(self, visit: Visit) -> None:
        """Learn that its service answered."""

    async def closed(self, visit: Visit) -> None:
        """Learn that it is over; `visit.counts.error` says why, if it was cut off or refused."""


class Nobody:
    """Watches nothing."""

    async def opened(self, visit: Visit) -> None:
        """Look away."""

    linked = closed = opened


class Visits:
    """All visits that live now, within their limits."""

    def __init__(self) -> None:
        self._sessions = Sessions()
        self._live: dict[int, Visit] = {}

    def limit(self, limits: Limits) -> None:
        """Apply other limits, to visits that begin from now on."""
        self._sessions.limits = limits

    @property
    def rate(self) -> int:
        """Bytes a second for each; 0 is no limit."""
        return self._sessions.limits.rate

    def enter(self, visit: Visit) -> None:
        """Begin a visit. Raises Refusal over a limit."""
        self._sessions.enter(visit.service, visit.client[0] if visit.client else "")
        self._live[visit.number] = visit

    def leave(self, visit: Visit) -> None:
        """End a visit; again is once."""
        if self._live.pop(visit.number, None) is not None:
            self._sessions.leave(visit.service, visit.client[0] if visit.client else "")

    def __iter__(self) -> Iterator[Visit]:
        """Go through them, oldest first."""
        return iter(list(self._live.values()))

    def close(self, which: str) -> int:
        """End those of this number, service, `service@work` or work; `all` ends all. Returns how many."""
        chosen = [v for v in self if which in ("all", str(v.number), v.service, v.target, v.work)]
        for visit in chosen:
            visit.close()
        return len(chosen)


def cancel_current() -> Callable[[], object]:
    """Return what ends the current task."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101
    return task.cancel
