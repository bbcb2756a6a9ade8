"""How much each client address has at the moment. Pure."""

from __future__ import annotations

from collections.abc import Hashable, MutableSet
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from proxy_policies.addresses import normalize_address

EMPTY_MOST = 64
"""Addresses that may be kept with nothing: a client on a connection that goes on is in and out with every request."""
IPV6_PREFIX = 64
"""Bits that one client has at the least (RFC 6177): nginx's and Cloudflare's advice for limits by address."""


@lru_cache(maxsize=4096)
def share_of(address: str) -> str:
    """Return what an address is counted as: an IPv6 network of IPV6_PREFIX bits, an IPv4 address as it is."""
    plain = normalize_address(address)
    try:
        parsed = ip_address(plain)
    except ValueError:
        return plain
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, IPV6_PREFIX), strict=False))
    return plain


class Shares:
    """What is there of one kind, by client address; with `WeakSet` as its kind of set, while somebody else knows it."""

    def __init__(self, kind: type[MutableSet[Any]] = set) -> None:
        self._kind = kind
        self._inside: dict[str, MutableSet[Any]] = {}

    def enter(self, address: str, what: Hashable, most: int) -> bool:
        """Count something in; False, and nothing is counted, where an address has `most` already (0: no limit)."""
        share = share_of(address)
        inside = self._inside.get(share)
        if inside is None:
            inside = self._inside[share] = self._kind()
        elif most and len(inside) >= most and what not in inside:
            return False
        inside.add(what)
        return True

    def leave(self, address: str, what: Hashable) -> None:
        """Count it out, if it was in."""
        share = share_of(address)
        inside = self._inside.get(share)
        if inside is not None:
            inside.discard(what)
            if not inside and len(self._inside) > EMPTY_MOST:
                del self._inside[share]

    def __len__(self) -> int:
        """Return how many there are, of all addresses."""
        return sum(map(len, self._inside.values()))
