"""The PROXY protocol's header, with which a load balancer names the client of a connection. Pure.

https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt; version 1 is its section 2.1, version 2 its section 2.2.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Awaitable, Callable

from proxy_policies.addresses import Address

type IP = ipaddress.IPv4Address | ipaddress.IPv6Address
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""The beginning of version 2."""
LOCAL, PROXY = 0x20, 0x21  # version 2 in the high half
TCP = {4: 0x11, 6: 0x21}
MAX_V1 = 107  # bytes of a line
MAX_V2 = 2048  # bytes after the length, including extensions

_V1 = b"PROXY "
_HEAD_V2 = len(SIGNATURE) + 4  # bytes up to and including the length
_SIZES = {0x11: 4, 0x21: 16}  # bytes of an address: of TCP over IPv4 and over IPv6


class HeaderError(ValueError):
    """A connection does not begin with a valid header."""


def write(client: Address | None, server: Address | None) -> bytes:
    """Return a version 2 header for a client connected to `server`; LOCAL if either is not a known IP address."""
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


def parse(data: bytes) -> tuple[Address | None, bytes] | None:
    """Return the client in the header at the beginning of data, None as in `_read_v2`, and the data after the header.

    Return None while the header is incomplete. Raise HeaderError as soon as the data cannot be a valid header.
    """
    size = _size(data)
    if len(data) < size:
        return None
    header = data[:size]
    return _read_v1(header) if header.startswith(_V1) else _read_v2(header), data[size:]


async def read(exactly: Callable[[int], Awaitable[bytes]]) -> Address | None:
    """Return the client, as `parse` does, after reading the header only; `exactly` reads a number of bytes.

    Raise HeaderError, and what `exactly` raises.
    """
    data = b""
    while (found := parse(data)) is None:
        data += await exactly(_size(data) - len(data))
    return found[0]


def _size(data: bytes) -> int:
    """Return the least number of bytes of a header with this beginning. Raise HeaderError if it is invalid."""
    if data.startswith(_V1):
        end = data.find(b"\n", 0, MAX_V1) + 1
        if not end and len(data) >= MAX_V1:
            raise HeaderError("its PROXY line is incomplete")
        return end or len(data) + 1
    if data.startswith(SIGNATURE):
        head = data[len(SIGNATURE) : _HEAD_V2]
        return _HEAD_V2 + (_length_v2(head) if len(head) == _HEAD_V2 - len(SIGNATURE) else 0)
    if _V1.startswith(data) or SIGNATURE.startswith(data):
        return len(data) + 1
    raise HeaderError("it does not begin with a PROXY header")


def _read_v1(line: bytes) -> Address | None:
    """Return the client in a version 1 line with its end, None for UNKNOWN. Raise HeaderError."""
    words = line.removesuffix(b"\r\n").split(b" ")
    if not line.endswith(b"\r\n"):
        raise HeaderError("its PROXY line is incomplete")
    if words[1:2] == [b"UNKNOWN"]:
        return None
    try:
        _, family, client, server, port, *rest = (word.decode("ascii") for word in words)
        version = {"TCP4": 4, "TCP6": 6}[family]
        addresses = ipaddress.ip_address(client), ipaddress.ip_address(server)
        has_zone = "%" in client + server  # zones are only valid on one machine, and are not checked
        if not has_zone and {address.version for address in addresses} == {version} and len(rest) == 1:
            return str(addresses[0]), _port(port)
    except (ValueError, KeyError):
        pass
    raise HeaderError("its PROXY line is invalid")


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 1 << 16:
        return int(text)
    raise ValueError


def _length_v2(head: bytes) -> int:
    """Return the length in the four bytes after the signature. Raise HeaderError."""
    length = int.from_bytes(head[2:])
    if head[0] not in (LOCAL, PROXY) or length > MAX_V2:
        raise HeaderError("its PROXY header has an unknown version")
    return length


def _read_v2(header: bytes) -> Address | None:
    """Return the client in a complete version 2 header, None for LOCAL and all but TCP over IP. Raise HeaderError."""
    command, family = header[len(SIGNATURE) : len(SIGNATURE) + 2]
    rest, size = header[_HEAD_V2:], _SIZES.get(family)
    if command == LOCAL or size is None:
        return None
    if len(rest) < 2 * size + 4:
        raise HeaderError("its PROXY header is too short for its addresses")
    return str(ipaddress.ip_address(rest[:size])), int.from_bytes(rest[2 * size : 2 * size + 2])
