"""Whether an address is one on which this process itself listens. Does not import mitmproxy."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from proxy_policies.addresses import normalize_address
from proxy_policies.outbound.name_lookup import look_up


async def reaches(host: str, port: int, listening: Iterable[str]) -> bool:
    """Return whether a connection to a host, given by name or address, would reach a listener on its port.

    `listening` are the listeners' addresses; 0.0.0.0 and :: stand for every address of this machine. A name that does
    not resolve reaches none.
    """
    hosts = [normalize_address(own) for own in listening]
    with contextlib.suppress(OSError, UnicodeError):
        return any(_is_of(normalize_address(found[4][0]), hosts) for found in await look_up(host, port, timeout=1))
    return False


def _is_of(address: str, hosts: list[str]) -> bool:
    if ip_address(address).is_unspecified:  # systems connect to themselves then
        address = "::1" if ":" in address else "127.0.0.1"
    return address in hosts or (any(ip_address(host).is_unspecified for host in hosts) and _is_local(address))


def _is_local(address: str) -> bool:
    """Return whether an address is this machine's own, as then the local address is the same. Nothing is sent."""
    if ip_address(address).is_loopback:
        return True
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return normalize_address(probe.getsockname()[0]) == address
