"""Bounds on unauthenticated peers, clients and bytes, and how long to wait between retries. Pure."""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum

from proxy_policies.reverse_tunnel.protocol.messages import Reason, Refusal

MAX_UNAUTHENTICATED = 128
"""Connections at home's port that have not yet said who they are; one that has begun TLS holds some 300 KiB."""
HANDSHAKE_TIMEOUT = 5.0  # seconds a peer has for all of TLS and handshake

FIRST_RETRY, LAST_RETRY = 0.25, 8.0  # seconds
RESTART = 60.0  # seconds that a home which was there may take to start again
RETRY_RESTART = 1.0  # seconds at most between two tries in that time
STABLE_AFTER = 10.0  # seconds; a connection that stood longer ended for a reason of its own
SHORT_LIVES = 3  # connections in a row that may end sooner, and home counts as there for all that

LINES_AT_ONCE = 10  # lines a minute that one work's coming and going may take


def retry_delay(failures: int, chance: float, gone: float = math.inf) -> float:
    """Return the seconds to wait after so many failures in a row; `chance` is random in [0, 1).

    `gone` is for how many seconds home has not been there. Exponential up to a bound, and jittered downwards by up to
    a half so that many works do not come at once.
    """
    bound = RETRY_RESTART if gone < RESTART else LAST_RETRY
    longest = min(bound, math.ldexp(FIRST_RETRY, min(failures, 16)))
    return longest * (1 - chance / 2)


def network_of(address: str) -> str:
    """Return what an address is counted as: itself, or of IPv6 its /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


@dataclass(frozen=True)
class Limits:
    """Bounds at home: sessions per service, sessions per client address, bytes per second and session. 0: none."""

    service: int = 0
    client: int = 0
    rate: int = 0


NO_LIMITS = Limits()


@dataclass
class SessionLimiter:
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


class RateLimiter:
    """Keeps a stream to so many bytes a second, after a first burst of one second's worth."""

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._paid_until = now - 1

    def pause(self, size: int, now: float) -> float:
        """Return for how many seconds to rest after `size` bytes that came at `now`."""
        self._paid_until = max(self._paid_until, now - 1) + size / self._rate
        return max(0.0, self._paid_until - now)


class Stage(IntEnum):
    """How far an unauthenticated peer has come."""

    SILENT = 0
    """It has connected."""
    SPEAKING = 1
    """It has said something."""
    ENCRYPTED = 2
    """It has ended TLS's handshake, which says little where no certificates are asked for."""


@dataclass
class _Peer:
    network: str
    stage: Stage = Stage.SILENT


class HandshakeLimiter:
    """Admits unauthenticated peers. Over a bound it closes one of those who have come least far, whichever.

    Never the newcomer, and not the oldest: a work that comes from the same address as any number of others has its
    chance with each try, and no longer needs it once it has spoken.
    """

    def __init__(self, most: int = MAX_UNAUTHENTICATED) -> None:
        self._most = most
        self._inside: dict[int, _Peer] = {}
        self._next = 0

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._inside)

    def enter(self, address: str, chance: float, expected: int = 0) -> tuple[int, int | None]:
        """Return the new peer's number and that of the peer to close for it, if any; `chance` is random in [0, 1).

        `expected` connections are being waited for, from whatever address: they come on top.
        """
        evicted = None if len(self._inside) < self._most + expected else self._one_too_many(chance)
        if evicted is not None:
            del self._inside[evicted]
        self._next += 1
        self._inside[self._next] = _Peer(network_of(address))
        return self._next, evicted

    def _one_too_many(self, chance: float) -> int:
        """Return one of those of the network with most peers that have come least far."""
        counts = Counter(peer.network for peer in self._inside.values())
        most = max(counts.values())
        stages = {number: peer.stage for number, peer in self._inside.items() if counts[peer.network] == most}
        least = min(stages.values())
        candidates = [number for number, stage in stages.items() if stage is least]
        return candidates[int(chance * len(candidates))]

    def advance(self, number: int, stage: Stage) -> None:
        """Take note of how far a peer has come."""
        if peer := self._inside.get(number):
            peer.stage = stage

    def leave(self, number: int) -> None:
        """Make room again."""
        self._inside.pop(number, None)
