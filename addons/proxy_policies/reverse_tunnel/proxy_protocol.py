"""The PROXY protocol's version 2 header, by which a service behind the tunnel learns its client's address. Pure.

https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, section 2.2.
"""

from __future__ import annotations

import ipaddress
import struct

from proxy_policies.reverse_tunnel.messages import Address

type IP = ipaddress.IPv4Address | ipaddress.IPv6Address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21  # version 2 in the high half
TCP = {4: 0x11, 6: 0x21}


def header(client: Address | None, server: Address | None) -> bytes:
    """Write the header for a client that came to `server`; LOCAL when either is unknown or no IP address."""
    source, target = _ip(client), _ip(server)
    if client is None or server is None or source is None or target is None:
        return SIGNATURE + bytes((LOCAL, 0, 0, 0))
    if source.version != target.version:
        source, target = _as_ipv6(source), _as_ipv6(target)
    addresses = source.packed + target.packed + struct.pack("!HH", client[1], server[1])
    return SIGNATURE + struct.pack("!BBH", PROXY, TCP[source.version], len(addresses)) + addresses


def _ip(address: Address | None) -> IP | None:
    try:
        return ipaddress.ip_address(address[0].partition("%")[0]) if address else None
    except ValueError:
        return None


def _as_ipv6(address: IP) -> ipaddress.IPv6Address:
    return address if isinstance(address, ipaddress.IPv6Address) else ipaddress.IPv6Address(f"::ffff:{address}")
