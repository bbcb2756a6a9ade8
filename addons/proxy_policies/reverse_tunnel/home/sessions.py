"""The open sessions, one for each client, for `tunnel.status`, `tunnel.close` and observers."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from proxy_policies.addresses import Address, format_target
from proxy_policies.relay.link import ByteCounts
from proxy_policies.reverse_tunnel.limits import SessionLimiter, SessionLimits
from proxy_policies.reverse_tunnel.transport.transport_relay import OnData

_numbers = itertools.count(1)


@dataclass(eq=False)
class Session:
    """One client's use of one service. `close` ends it; times are in seconds since the epoch."""

    service: str
    work: str
    client: Address | None
    client_listener: Address | None
    close: Callable[[], object]
    number: int = field(default_factory=lambda: next(_numbers))
    started: float = field(default_factory=time.time)
    linked: float | None = None
    """When its service was connected."""
    counts: ByteCounts = field(default_factory=ByteCounts)
    tap: OnData | None = None  # called with the bytes, if they are kept

    @property
    def target(self) -> str:
        """The service, with the work if the client chose one."""
        return f"{self.service}@{self.work}" if self.work else self.service

    @property
    def source(self) -> str:
        """The client, for messages."""
        return format_target(*self.client[:2]) if self.client else "this proxy"

    def account(self) -> str:
        """Return the bytes from the client and to it, and the duration, for messages."""
        return self.counts.account(time.time() - self.started)


class SessionObserver(Protocol):
    """Is notified of sessions."""

    async def opened(self, session: Session) -> None:
        """Handle a client that has connected."""

    async def linked(self, session: Session) -> None:
        """Handle the connection to its service."""

    async def closed(self, session: Session) -> None:
        """Handle its end; `session.counts.error` is the error, if there was one."""


class NullObserver:
    """Ignores sessions."""

    async def opened(self, session: Session) -> None:
        """Do nothing."""

    linked = closed = opened


class SessionTable:
    """The open sessions, and their limits."""

    def __init__(self) -> None:
        self._sessions = SessionLimiter()
        self._live: dict[int, Session] = {}

    def limit(self, limits: SessionLimits) -> None:
        """Set the limits for new sessions."""
        self._sessions.limits = limits

    @property
    def rate(self) -> int:
        """Bytes a second for each session; 0 for no limit."""
        return self._sessions.limits.rate

    def enter(self, session: Session) -> None:
        """Add a session. Raise Refusal over a limit."""
        self._sessions.enter(session.service, session.client[0] if session.client else "")
        self._live[session.number] = session

    def leave(self, session: Session) -> None:
        """Remove a session; has no effect if it was already removed."""
        if self._live.pop(session.number, None) is not None:
            self._sessions.leave(session.service, session.client[0] if session.client else "")

    def __iter__(self) -> Iterator[Session]:
        """Return an iterator over the sessions, oldest first."""
        return iter(list(self._live.values()))

    def close(self, which: str) -> int:
        """End the sessions of a number, service, `service@work` or work, or `all`; return how many."""
        chosen = [v for v in self if which and which in ("all", str(v.number), v.service, v.target, v.work)]
        for session in chosen:
            session.close()
        return len(chosen)


def cancel_current() -> Callable[[], object]:
    """Return a function that cancels the current task."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101
    return task.cancel
