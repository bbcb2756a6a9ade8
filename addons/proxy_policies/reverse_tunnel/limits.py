"""How much anybody may have: strangers, clients, bytes; and how long to wait before trying again. Pure."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from proxy_policies.reverse_tunnel.messages import Reason, Refusal

STRANGERS = 128  # connections at home's port that have not yet said who they are; each holds some 300 KiB with TLS
PER_ADDRESS = 16  # of them from one address
PROVE_WITHIN = 5.0  # seconds a stranger has for all of TLS and handshake

FIRST_RETRY, LAST_RETRY = 0.25, 8.0  # seconds


def retry_delay(failures: int, chance: float) -> float:
    """Return the seconds to wait after so many failures in a row; `chance` is random in [0, 1).

    Exponential, never past LAST_RETRY, and jittered downwards by up to a half so that many works do not come at once.
    """
    longest = min(LAST_RETRY, math.ldexp(FIRST_RETRY, min(failures, 16)))
    return longest * (1 - chance / 2)


@dataclass(frozen=True)
class Limits:
    """Bounds at home: sessions per service, sessions per client address, bytes per second and session. 0: none."""

    service: int = 0
    client: int = 0
    rate: int = 0


NO_LIMITS = Limits()


@dataclass
class Sessions:
    """Counts the sessions that live."""

    limits: Limits = NO_LIMITS
    services: Counter[str] = field(default_factory=Counter)
    clients: Counter[str] = field(default_factory=Counter)

    def enter(self, service: str, client: str) -> None:
        """Count a session in; no client is this proxy itself, which speaks for many. Raises Refusal over a limit."""
        if self.limits.service and self.services[service] >= self.limits.service:
            raise Refusal(Reason.LIMIT, f"{service} has {self.limits.service} sessions")
        if client and self.limits.client and self.clients[client] >= self.limits.client:
            raise Refusal(Reason.LIMIT, f"client {client} has {self.limits.client} sessions")
        self.services[service] += 1
        self.clients[client] += 1

    def leave(self, service: str, client: str) -> None:
        """Count a session out."""
        for counter, key in ((self.services, service), (self.clients, client)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]


class Pacer:
    """Keeps a stream to so many bytes a second, after a first burst of one second's worth."""

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._paid_until = now - 1

    def pause(self, size: int, now: float) -> float:
        """Return for how many seconds to rest after `size` bytes that came at `now`."""
        self._paid_until = max(self._paid_until, now - 1) + size / self._rate
        return max(0.0, self._paid_until - now)


class Seldom:
    """Lets something be said once in a while, however often it happens."""

    def __init__(self, every: float = 10.0) -> None:
        self._every = every
        self._next = 0.0
        self._unsaid = 0

    def due(self, now: float) -> int | None:
        """Return how many times it was left unsaid before, or None when it is too soon; `now` in seconds."""
        if now < self._next:
            self._unsaid += 1
            return None
        self._next, unsaid, self._unsaid = now + self._every, self._unsaid, 0
        return unsaid


class Gate:
    """Lets strangers in, as long as there are few. A newcomer over the total costs the oldest its place."""

    def __init__(self, total: int = STRANGERS, per_address: int = PER_ADDRESS) -> None:
        self._total, self._per_address = total, per_address
        self._inside: dict[int, str] = {}  # oldest first
        self._next = 0

    def __len__(self) -> int:
        """Return how many strangers are inside."""
        return len(self._inside)

    def enter(self, address: str, expected: int = 0) -> tuple[int, int | None] | None:
        """Return the newcomer's number and that of the stranger who has to go for it, if any; None: no entrance.

        `expected` connections are being waited for, from whatever address: they come on top.
        """
        if sum(inside == address for inside in self._inside.values()) >= self._per_address + expected:
            return None
        evicted = next(iter(self._inside)) if len(self._inside) >= self._total + expected else None
        if evicted is not None:
            del self._inside[evicted]
        self._next += 1
        self._inside[self._next] = address
        return self._next, evicted

    def leave(self, number: int) -> None:
        """Make room again."""
        self._inside.pop(number, None)
