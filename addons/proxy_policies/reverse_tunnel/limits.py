"""Limits on unauthenticated peers, clients and bytes, and the delays between retries. Pure."""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum

from proxy_policies.reverse_tunnel.protocol.messages import Reason, Refusal

MAX_UNAUTHENTICATED = 128
"""Unauthenticated connections to home; one in the TLS handshake takes some 300 KiB."""
HANDSHAKE_TIMEOUT = 5.0  # seconds for TLS and the handshake

FIRST_RETRY, LAST_RETRY = 0.25, 8.0  # seconds
RESTART = 60.0  # seconds in which a home that was connected is assumed to restart
RETRY_RESTART = 1.0  # the longest delay in that time, in seconds
STABLE_AFTER = 10.0  # seconds; the end of a longer connection is not counted as a repeated failure
MAX_SHORT_CONNECTIONS = 3  # successive shorter connections after which home no longer counts as having been connected

MAX_LINES_PER_MINUTE = 10  # log lines a minute about one work's connections


def retry_delay(failures: int, chance: float, gone: float = math.inf) -> float:
    """Return the seconds to wait after so many successive failures; `chance` is random in [0, 1).

    `gone` is how many seconds ago home was last connected. The delay is exponential up to a limit, and jittered
    downwards by up to a half, so that many works do not connect at once.
    """
    bound = RETRY_RESTART if gone < RESTART else LAST_RETRY
    longest = min(bound, math.ldexp(FIRST_RETRY, min(failures, 16)))
    return longest * (1 - chance / 2)


def network_of(address: str) -> str:
    """Return the network that an address is counted in: itself, or for IPv6 its /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


@dataclass(frozen=True)
class SessionLimits:
    """Limits at home: sessions per service and per client address, bytes per second and session; 0: no limit."""

    service: int = 0
    client: int = 0
    rate: int = 0


NO_LIMITS = SessionLimits()


@dataclass
class SessionLimiter:
    """Counts the open sessions."""

    limits: SessionLimits = NO_LIMITS
    services: Counter[str] = field(default_factory=Counter)
    clients: Counter[str] = field(default_factory=Counter)

    def enter(self, service: str, client: str) -> None:
        """Count a session; `client` is "" for this proxy, which has no limit per client. Raise Refusal over a limit."""
        if self.limits.service and self.services[service] >= self.limits.service:
            raise Refusal(Reason.LIMIT, f"{service} has {self.limits.service} sessions")
        if client and self.limits.client and self.clients[client] >= self.limits.client:
            raise Refusal(Reason.LIMIT, f"client {client} has {self.limits.client} sessions")
        self.services[service] += 1
        self.clients[client] += 1

    def leave(self, service: str, client: str) -> None:
        """Stop counting a session."""
        for counter, key in ((self.services, service), (self.clients, client)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]


class RateLimiter:
    """Limits a stream's bytes per second, after a burst of one second's bytes."""

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._paid_until = now - 1

    def pause(self, size: int, now: float) -> float:
        """Return how many seconds to pause after `size` bytes received at `now`."""
        self._paid_until = max(self._paid_until, now - 1) + size / self._rate
        return max(0.0, self._paid_until - now)


class PeerStage(IntEnum):
    """The progress of an unauthenticated peer."""

    SILENT = 0
    """It has connected."""
    SENT_DATA = 1
    """It has sent data."""
    ENCRYPTED = 2
    """It has completed the TLS handshake, which proves little without certificates."""


@dataclass
class _Peer:
    network: str
    stage: PeerStage = PeerStage.SILENT


class HandshakeLimiter:
    """Admits unauthenticated peers; beyond a limit, a random one of those with the least progress is closed.

    Never the new one, nor always the oldest: so a work has a chance at each attempt, however many connections come from
    its address, and is safe once it has sent data.
    """

    def __init__(self, most: int = MAX_UNAUTHENTICATED) -> None:
        self._most = most
        self._peers: dict[int, _Peer] = {}
        self._next = 0

    def __len__(self) -> int:
        """Return the number of peers."""
        return len(self._peers)

    def enter(self, address: str, chance: float, expected: int = 0) -> tuple[int, int | None]:
        """Return the new peer's number and that of the peer to close for it, if any; `chance` is random in [0, 1).

        `expected` is the number of data connections on their way, from any address, by which the limit is raised.
        """
        evicted = None if len(self._peers) < self._most + expected else self._choose_evicted(chance)
        if evicted is not None:
            del self._peers[evicted]
        self._next += 1
        self._peers[self._next] = _Peer(network_of(address))
        return self._next, evicted

    def _choose_evicted(self, chance: float) -> int:
        """Return one of the peers with the least progress, of the network with the most peers."""
        counts = Counter(peer.network for peer in self._peers.values())
        most = max(counts.values())
        stages = {number: peer.stage for number, peer in self._peers.items() if counts[peer.network] == most}
        least = min(stages.values())
        candidates = [number for number, stage in stages.items() if stage is least]
        return candidates[int(chance * len(candidates))]

    def advance(self, number: int, stage: PeerStage) -> None:
        """Note a peer's progress."""
        if peer := self._peers.get(number):
            peer.stage = stage

    def leave(self, number: int) -> None:
        """Remove a peer."""
        self._peers.pop(number, None)
