"""Hosts, ports and networks as text."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


@lru_cache(maxsize=1024)
def is_address(host: str) -> bool:
    """Return whether the text is an IP address, with or without a zone; names are not."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def format_target(host: str, port: int) -> str:
    """Write host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@lru_cache(maxsize=256)
def normalize_address(address: str) -> str:
    """Write an IP address in its shortest form; IPv4 in IPv6's clothes as IPv4. What is none stays as it is."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read IP networks or addresses; raises ValueError quoting what is neither."""
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text.strip(), strict=False))
        except ValueError as error:
            raise ValueError(
                f"{text!r} is not a valid network; write such as 10.0.0.0/8, 192.0.2.7 or fd00::/8"
            ) from error
    return tuple(networks)


def in_networks(address: str, networks: Sequence[Network]) -> bool:
    """Return whether an address is in one of the networks."""
    if not networks:
        return False
    try:
        parsed = ip_address(normalize_address(address))
    except ValueError:
        return False
    return any(parsed in network for network in networks)


_CREDENTIALS = re.compile(r"(?<=://)[^\s'\"]*@")


def without_credentials(text: str) -> str:
    """Leave out of the URLs in a text what stands before their `@`: user and password."""
    return _CREDENTIALS.sub("", text)


def is_tunnel_name(host: str) -> bool:
    """Return whether a host is one that the reverse tunnel leads to, if there is a tunnel: `wiki.office.internal`."""
    return host.lower().rstrip(".").endswith(".internal")
