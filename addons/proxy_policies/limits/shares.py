"""What each client address currently uses. Pure."""

from __future__ import annotations

from collections.abc import Hashable, MutableSet
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from proxy_policies.addresses import normalize_address

MAX_EMPTY = 64
"""Addresses kept without entries: a client on a persistent connection enters and leaves with every request."""
IPV6_PREFIX = 64
"""The prefix of one client's network at least (RFC 6177): nginx's and Cloudflare's advice for limits by address."""


@lru_cache(maxsize=4096)
def share_of(address: str) -> str:
    """Return the unit in which an address is counted: an IPv6 network of IPV6_PREFIX bits, or the IPv4 address."""
    plain = normalize_address(address)
    try:
        parsed = ip_address(plain)
    except ValueError:
        return plain
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, IPV6_PREFIX), strict=False))
    return plain


class Shares:
    """Items of one kind by client address; with `WeakSet` as the set, only while they are referenced elsewhere."""

    def __init__(self, kind: type[MutableSet[Any]] = set) -> None:
        self._kind = kind
        self._inside: dict[str, MutableSet[Any]] = {}

    def enter(self, address: str, what: Hashable, most: int) -> bool:
        """Add an item; return False, adding nothing, if the address already has `most` (0: no limit)."""
        share = share_of(address)
        inside = self._inside.get(share)
        if inside is None:
            inside = self._inside[share] = self._kind()
        elif most and len(inside) >= most and what not in inside:
            return False
        inside.add(what)
        return True

    def leave(self, address: str, what: Hashable) -> None:
        """Remove an item, if present."""
        share = share_of(address)
        inside = self._inside.get(share)
        if inside is not None:
            inside.discard(what)
            if not inside and len(self._inside) > MAX_EMPTY:
                del self._inside[share]

    def __len__(self) -> int:
        """Return the number of items of all addresses."""
        return sum(map(len, self._inside.values()))
