"""The PROXY header, against examples worked out by hand from the specification."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.addresses import Address
from proxy_policies.proxy_protocol.header import MAX_V1, HeaderError, parse, read, write

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
V4 = bytes.fromhex("21 11 000c c0000201 c6336402 c350 2329")
V6 = bytes.fromhex("21 21 0024") + b"\0" * 15 + b"\1" + b"\0" * 15 + b"\1" + bytes.fromhex("c350 2329")
MIXED = bytes.fromhex("21 21 0024") + b"\0" * 10 + bytes.fromhex("ffff c0000201") + b"\0" * 15 + b"\1"
LOCAL = bytes.fromhex("20 00 0000")

CASES: dict[str, tuple[Address | None, Address | None, bytes]] = {
    "ipv4": (("192.0.2.1", 50000), ("198.51.100.2", 9001), V4),
    "ipv6": (("::1", 50000), ("::1", 9001), V6),
    "scoped": (("::1%lo", 50000), ("::1", 9001), V6),
    "ipv4 to ipv6": (("192.0.2.1", 50000), ("::1", 9001), MIXED + bytes.fromhex("c350 2329")),
    "no client": (None, ("::1", 9001), LOCAL),
    "no server": (("::1", 50000), None, LOCAL),
    "a name": (("client.example", 50000), ("::1", 9001), LOCAL),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_written(case: tuple[Address | None, Address | None, bytes]) -> None:
    client, server, expected = case
    assert write(client, server) == SIGNATURE + expected


READ: dict[str, tuple[bytes, Address | None]] = {
    "v1": (b"PROXY TCP4 192.0.2.1 198.51.100.2 50000 9001\r\n", ("192.0.2.1", 50000)),
    "v1, ipv6": (b"PROXY TCP6 2001:DB8::1 ::1 50000 9001\r\n", ("2001:db8::1", 50000)),
    "v1, unknown": (b"PROXY UNKNOWN ffff:f::f ::1 1 2\r\n", None),
    "v2": (SIGNATURE + V4, ("192.0.2.1", 50000)),
    "v2, ipv6": (SIGNATURE + V6, ("::1", 50000)),
    "v2, local": (SIGNATURE + LOCAL, None),
    "v2, unix": (SIGNATURE + bytes.fromhex("21 31 0000"), None),
    "v2, more fields": (SIGNATURE + V4[:2] + b"\0\x10" + V4[4:] + b"\4\0\1x", ("192.0.2.1", 50000)),
}


class Short(Exception):
    """More is wanted than there is."""


def read_from(data: bytes) -> tuple[Address | None, bytes] | None:
    """Read a header from a connection of which this has come: it and what follows, None while it is not there whole."""
    left = bytearray(data)

    async def exactly(size: int) -> bytes:
        if len(left) < size:
            raise Short
        taken = bytes(left[:size])
        del left[:size]
        return taken

    reading = read(exactly)
    try:
        reading.send(None)
    except StopIteration as done:
        return done.value, bytes(left)
    except Short:
        return None
    raise AssertionError("it waits for something else")


@pytest.mark.parametrize(("data", "expected"), READ.values(), ids=READ)
def test_read(data: bytes, expected: Address | None) -> None:
    for size in range(len(data)):
        assert parse(data[:size]) is None
    for rest in (b"", b"\n", b"GET / HTTP/1.1\r\n\r\n"):
        assert parse(data + rest) == (expected, rest)


WRONG = {
    "none": b"G",
    "none yet": b"\r\n\r\nG",
    "v1, in lower case": b"Pr",
    "v1, nothing": b"PROXY \r\n",
    "v1, short": b"PROXY A\r\n",
    "v1, no CR": b"PROXY UNKNOWN\n",
    "v1, too long": b"PROXY TCP4 " + b"1" * (MAX_V1 - 11),
    "v1, no address": b"PROXY TCP4 here there 50000 9001\r\n",
    "v1, other family": b"PROXY TCP4 ::1 ::1 50000 9001\r\n",
    "v1, no port": b"PROXY TCP4 192.0.2.1 198.51.100.2 70000 9001\r\n",
    "v1, bytes": b"PROXY TCP4 \xff \xff 1 2\r\n",
    "v2, version 3": SIGNATURE + bytes.fromhex("31 11 000c"),
    "v2, short": SIGNATURE + bytes.fromhex("21 11 0004 c0000201"),
    "v2, endless": SIGNATURE + bytes.fromhex("21 11 ffff"),
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_what_is_no_header_is_refused_as_soon_as_that_is_sure(data: bytes) -> None:
    assert parse(data[:-1]) is None
    with pytest.raises(HeaderError):
        parse(data)


STARTS = [b"", b"P", b"PROXY ", b"PROXY \r\n", b"PROXY TCP4 ", b"PROXY UNKNOWN", SIGNATURE, SIGNATURE + b"\x21\x11"]


def outcome(reading: Callable[[bytes], object], data: bytes) -> object:
    try:
        return reading(data)
    except HeaderError as error:
        return str(error)


@given(st.sampled_from(STARTS), st.binary(max_size=3000) | st.text("PROXY TCP46.:01\r\n", max_size=120).map(str.encode))
def test_both_ways_to_read_agree(start: bytes, data: bytes) -> None:
    """Whatever has come is a header and what follows, too little, or refused for the same reason."""
    assert outcome(read_from, start + data) == outcome(parse, start + data)
