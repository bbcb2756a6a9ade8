"""Keeps a test from the network: Python's sockets refuse hosts other than this one, with an error that says so.

What does not go through Python's `socket` is not seen: gRPC, pycurl, uvloop, other processes.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_INTERNET = (socket.AF_INET, socket.AF_INET6)


class NetworkBlockedError(RuntimeError):
    """A connection to another host, from a test that may have none; no OSError, so that no client takes it for one."""

    def __init__(self, host: object, port: object) -> None:
        super().__init__(
            f"block_network: this test may not connect to {host}:{port}; record it with http_capture, or name the host "
            "in allowed_hosts"
        )


class HostCheck:
    """Which hosts may be connected to: this one, those that an expression matches, and where those were found to be."""

    def __init__(self, allowed: Iterable[str]) -> None:
        """Raise ValueError for an expression that is none."""
        try:
            self._patterns = [re.compile(pattern, re.IGNORECASE) for pattern in allowed]
        except re.error as error:
            raise ValueError(f"allowed_hosts: {error.pattern!r} is not a valid regular expression: {error}") from None
        self._found: set[str] = set()

    def allows(self, host: str) -> bool:
        """Return whether a name or an address may be connected to."""
        return is_local(host) or host in self._found or any(pattern.fullmatch(host) for pattern in self._patterns)

    def note(self, addresses: Iterable[str]) -> None:
        """Take note of the addresses of an allowed host."""
        self._found.update(addresses)


def is_local(host: str) -> bool:
    """Return whether a name or an address is this host's: loopback, or none at all."""
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
    """Refuse connections to other hosts while this lasts. Raises ValueError."""
    check = HostCheck(allowed)
    undo = [_replace(socket.socket, name, _guarded(check, name)) for name in ("connect", "connect_ex", "sendto")]
    undo.append(_replace(socket, "getaddrinfo", _resolving(check)))
    try:
        yield
    finally:
        for restore in undo:
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
        check.note(str(entry[4][0]) for entry in found)
        return found

    return resolving
