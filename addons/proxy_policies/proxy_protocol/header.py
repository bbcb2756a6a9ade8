"""The PROXY protocol's header, by which a load balancer says whom a connection is from. Pure.

https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt; version 1 is its section 2.1, version 2 its section 2.2.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Awaitable, Callable

type IP = ipaddress.IPv4Address | ipaddress.IPv6Address
type Address = tuple[str, int]

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""What version 2 begins with."""
LOCAL, PROXY = 0x20, 0x21  # version 2 in the high half
TCP = {4: 0x11, 6: 0x21}
LONGEST_V1 = 107  # octets of a line
LONGEST_V2 = 2048  # octets after the length, fields of other software included

_V1 = b"PROXY "
_HEAD_V2 = len(SIGNATURE) + 4  # octets up to the length, which stands last
_SIZES = {0x11: 4, 0x21: 16}  # octets of an address: of TCP over IPv4 and over IPv6


class HeaderError(ValueError):
    """A connection that should begin with a header begins otherwise."""


def write(client: Address | None, server: Address | None) -> bytes:
    """Write a version 2 header for a client that came to `server`; LOCAL when either is unknown or no IP address."""
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
    """Take the header off what a connection begins with: the client, or None as in `_read_v2`, and what follows it.

    None while the header is not there whole. Raises HeaderError as soon as it is certain that none comes.
    """
    size = _size(data)
    if len(data) < size:
        return None
    header = data[:size]
    return _read_v1(header) if header.startswith(_V1) else _read_v2(header), data[size:]


async def read(exactly: Callable[[int], Awaitable[bytes]]) -> Address | None:
    """Read a header and not an octet more, with a function that reads so many: the client, as `parse` has it.

    Raises HeaderError, and whatever the function does.
    """
    data = b""
    while (found := parse(data)) is None:
        data += await exactly(_size(data) - len(data))
    return found[0]


def _size(data: bytes) -> int:
    """Return how many octets a header that begins so has at least: what can be read before more is known.

    Raises HeaderError if it is none.
    """
    if data.startswith(_V1):
        end = data.find(b"\n", 0, LONGEST_V1) + 1
        if not end and len(data) >= LONGEST_V1:
            raise HeaderError("its PROXY line is incomplete")
        return end or len(data) + 1
    if data.startswith(SIGNATURE):
        head = data[len(SIGNATURE) : _HEAD_V2]
        return _HEAD_V2 + (_length_v2(head) if len(head) == _HEAD_V2 - len(SIGNATURE) else 0)
    if _V1.startswith(data) or SIGNATURE.startswith(data):
        return len(data) + 1
    raise HeaderError("it does not begin with a PROXY header")


def _read_v1(line: bytes) -> Address | None:
    """Read a version 1 line, its end included: the client, or None for UNKNOWN. Raises HeaderError."""
    words = line.removesuffix(b"\r\n").split(b" ")
    if not line.endswith(b"\r\n"):
        raise HeaderError("its PROXY line is incomplete")
    if words[1:2] == [b"UNKNOWN"]:
        return None
    try:
        _, family, client, server, port, *rest = (word.decode("ascii") for word in words)
        version = {"TCP4": 4, "TCP6": 6}[family]
        addresses = ipaddress.ip_address(client), ipaddress.ip_address(server)
        has_zone = "%" in client + server  # which means something to one machine only, and may hold anything
        if not has_zone and {address.version for address in addresses} == {version} and len(rest) == 1:
            return str(addresses[0]), _port(port)
    except (ValueError, KeyError):
        pass
    raise HeaderError("its PROXY line cannot be read")


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 1 << 16:
        return int(text)
    raise ValueError


def _length_v2(head: bytes) -> int:
    """Read how many octets follow the four that stand behind the signature. Raises HeaderError."""
    length = int.from_bytes(head[2:])
    if head[0] not in (LOCAL, PROXY) or length > LONGEST_V2:
        raise HeaderError("its PROXY header has an unknown version")
    return length


def _read_v2(header: bytes) -> Address | None:
    """Read a whole version 2 header: the client, or None for LOCAL and what is not TCP over IP. Raises HeaderError."""
    command, family = header[len(SIGNATURE) : len(SIGNATURE) + 2]
    rest, size = header[_HEAD_V2:], _SIZES.get(family)
    if command == LOCAL or size is None:
        return None
    if len(rest) < 2 * size + 4:
        raise HeaderError("its PROXY header is too short for its addresses")
    return str(ipaddress.ip_address(rest[:size])), int.from_bytes(rest[2 * size : 2 * size + 2])
