"""Whether an address is one at which this very process listens. No mitmproxy in here."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from proxy_policies.addresses import normalize_address
from proxy_policies.outbound.name_lookup import look_up

Listening = Iterable[tuple[str, int]]
"""Addresses and ports of listeners; of 0.0.0.0 and :: they have every address of this machine."""


async def leads_to_one(host: str, port: int, listening: Listening) -> bool:
    """Return whether a connection to a host would come to one of the listeners, whatever the host is called.

    A name that does not resolve leads nowhere.
    """
    hosts = [normalize_address(own) for own, own_port in listening if own_port == port]
    if not hosts:
        return False
    with contextlib.suppress(OSError, UnicodeError):
        return any(_is_of(normalize_address(found[4][0]), hosts) for found in await look_up(host, port, timeout=1))
    return False


def _is_of(address: str, hosts: list[str]) -> bool:
    if ip_address(address).is_unspecified:  # to which systems connect as to themselves
        address = "::1" if ":" in address else "127.0.0.1"
    return address in hosts or (any(ip_address(host).is_unspecified for host in hosts) and _is_local(address))


def _is_local(address: str) -> bool:
    """Return whether an address is one of this machine's: to its own it would speak from the same. Nothing is sent."""
    if ip_address(address).is_loopback:
        return True
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return normalize_address(probe.getsockname()[0]) == address
