"""Blocks the network for a test: Python's sockets raise an error for hosts other than this one.

Connections without Python's `socket` are not blocked: gRPC, pycurl, uvloop, other processes.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_INTERNET = (socket.AF_INET, socket.AF_INET6)


class NetworkBlockedError(RuntimeError):
    """A test tried to connect to another host. Not an OSError, which clients would catch and retry."""

    def __init__(self, host: object, port: object) -> None:
        super().__init__(
            f"block_network: this test may not connect to {host}:{port}; record it with http_capture, or name the host "
            "in allowed_hosts"
        )


class HostCheck:
    """The hosts to which connections are allowed: this one, those that a pattern matches, and their addresses."""

    def __init__(self, allowed: Iterable[str]) -> None:
        """Raise ValueError for an invalid regular expression."""
        try:
            self._patterns = [re.compile(pattern, re.IGNORECASE) for pattern in allowed]
        except re.error as error:
            raise ValueError(f"allowed_hosts: {error.pattern!r} is not a valid regular expression: {error}") from None
        self._addresses: set[str] = set()

    def allows(self, host: str) -> bool:
        """Return whether connections to a name or an address are allowed."""
        return is_local(host) or host in self._addresses or any(pattern.fullmatch(host) for pattern in self._patterns)

    def add_addresses(self, addresses: Iterable[str]) -> None:
        """Allow the addresses of an allowed host."""
        self._addresses.update(addresses)


def is_local(host: str) -> bool:
    """Return whether a name or an address is this host's: loopback, unspecified or empty."""
    name = host.partition("%")[0].rstrip(".").lower()
    if not name or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


@contextmanager
def blocked(allowed: Iterable[str] = ()) -> Iterator[None]:
    """Block connections to other hosts inside the context. Raise ValueError for an invalid pattern."""
    check = HostCheck(allowed)
    restores = [_replace(socket.socket, name, _guarded(check, name)) for name in ("connect", "connect_ex", "sendto")]
    restores.append(_replace(socket, "getaddrinfo", _resolving(check)))
    try:
        yield
    finally:
        for restore in restores:
            restore()


def _replace(owner: Any, name: str, value: object) -> Callable[[], None]:
    own = vars(owner).get(name)
    setattr(owner, name, value)
    return lambda: delattr(owner, name) if own is None else setattr(owner, name, own)


def _guarded(check: HostCheck, name: str) -> Callable[..., Any]:
    original = getattr(socket.socket, name)

    def guarded(self: socket.socket, *arguments: Any) -> Any:
        address = arguments[-1] if arguments else None
        if self.family in _INTERNET and isinstance(address, tuple) and not check.allows(str(address[0])):
            raise NetworkBlockedError(address[0], address[1])
        return original(self, *arguments)

    return guarded


def _resolving(check: HostCheck) -> Callable[..., Any]:
    original = socket.getaddrinfo

    def resolving(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host or ""
        if not check.allows(name):
            raise NetworkBlockedError(name, port)
        found = original(host, port, *arguments, **options)
        check.add_addresses(str(entry[4][0]) for entry in found)
        return found

    return resolving
