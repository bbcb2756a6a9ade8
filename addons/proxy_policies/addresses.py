"""Hosts, ports and networks as text."""

import re
import socket
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Network = IPv4Network | IPv6Network
type Address = tuple[str, int]
type SocketAddress = tuple[Any, ...]
"""A host and a port, and for IPv6 two more numbers, as in the socket module."""

LOOPBACK = "127.0.0.1"


@lru_cache(maxsize=1024)
def is_address(host: str) -> bool:
    """Return whether the text is an IP address, with or without a zone; names are not."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def format_target(host: str, port: int) -> str:
    """Return host and port in the form of a URL: an IPv6 address is in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@lru_cache(maxsize=256)
def normalize_address(address: str) -> str:
    """Return an IP address in its shortest form, an IPv4-mapped one (RFC 4291, section 2.5.5.2) as IPv4.

    Any other text is returned unchanged.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def parse_address(text: str, default_host: str = LOOPBACK) -> Address:
    """Parse `9000`, `home.example:9000` or `[::1]:9000`; raise ValueError for anything else."""
    host, colon, port = text.strip().rpartition(":")
    is_number = port.isascii() and port.isdigit()
    if not is_number and not (colon and port):
        raise ValueError(f"{text!r} has no port; write HOST:PORT")
    if not is_number or len(port) > 5 or int(port) > 65535:
        raise ValueError(f"{port!r} is not a port from 0 to 65535; write HOST:PORT")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") and host.endswith("]") else host
    if (colon and not host) or any(letter.isspace() or letter in "/@[]=," for letter in host):
        raise ValueError(f"{text!r} has no valid host; write HOST:PORT")
    if ":" in host:
        _check_ipv6(host)
    else:
        _check_name(host)
    return (host if colon else default_host), int(port)


def _check_ipv6(host: str) -> None:
    try:
        IPv6Address(host)
    except ValueError:
        raise ValueError(f"{host!r} is not an IPv6 address; write [ADDRESS]:PORT") from None


def _check_name(host: str) -> None:
    """Raise ValueError for a name that DNS cannot have: lengths of names and labels, RFC 1035, section 2.3.4."""
    try:
        encoded = host.removesuffix(".").encode("idna")
    except UnicodeError:
        raise ValueError(f"{host!r} cannot be a host: write names with dots between, each of 1 to 63 bytes") from None
    if len(encoded) > 253:
        raise ValueError(f"{host!r} is too long for a host")
    if encoded.rpartition(b".")[2].isdigit():
        _check_ipv4(host)


def _check_ipv4(host: str) -> None:
    """Raise ValueError: a host that ends in a number must be an address, not a name (RFC 3696, section 2)."""
    try:
        socket.inet_aton(host)
    except OSError:
        raise ValueError(f"{host!r} is not an IPv4 address") from None


def is_loopback(host: str) -> bool:
    """Return whether a host can only be this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Parse IP networks or addresses; raise ValueError that quotes an invalid one."""
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
    """Return a text with user and password removed from its URLs: everything before their `@`."""
    return _CREDENTIALS.sub("", text)


def is_tunnel_name(host: str) -> bool:
    """Return whether a host is reached through the reverse tunnel, if one is open: `wiki.office.internal`."""
    return host.lower().rstrip(".").endswith(".internal")
