"""The PROXY header, against examples worked out by hand from the specification."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.proxy_protocol.header import (
    LONGEST_V2,
    Address,
    HeaderError,
    is_v1,
    length_v2,
    parse,
    read_v1,
    read_v2,
    write,
)

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


def read(data: bytes) -> Address | None:
    """Read a header as a connection does."""
    if is_v1(data[:12]):
        return read_v1(data)
    head = data[12:16]
    return read_v2(head, data[16 : 16 + length_v2(head)])


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


@pytest.mark.parametrize(("data", "expected"), READ.values(), ids=READ)
def test_read(data: bytes, expected: Address | None) -> None:
    assert read(data) == expected


WRONG = {
    "none": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "v1, no end": b"PROXY TCP4 192.0.2.1 198.51.100.2 50000 9001",
    "v1, too long": b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
    "v1, no address": b"PROXY TCP4 here there 50000 9001\r\n",
    "v1, other family": b"PROXY TCP4 ::1 ::1 50000 9001\r\n",
    "v1, no port": b"PROXY TCP4 192.0.2.1 198.51.100.2 70000 9001\r\n",
    "v1, octets": b"PROXY TCP4 \xff \xff 1 2\r\n",
    "v2, version 3": SIGNATURE + bytes.fromhex("31 11 000c"),
    "v2, short": SIGNATURE + bytes.fromhex("21 11 0004 c0000201"),
    "v2, endless": SIGNATURE + bytes.fromhex("21 11 ffff"),
    "v2, cut": SIGNATURE + b"\x21",
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(HeaderError):
        read(data)


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE]))
def test_anything_is_a_header_or_an_error(data: bytes, start: bytes) -> None:
    with contextlib.suppress(HeaderError):
        read(start + data)


@pytest.mark.parametrize("header", [data for data, _ in READ.values()], ids=READ)
def test_taken_off_what_follows(header: bytes) -> None:
    for size in range(len(header)):
        assert parse(header[:size]) is None
    for rest in (b"", b"\n", b"GET / HTTP/1.1\r\n\r\n"):
        assert parse(header + rest) == (read(header), rest)


@given(st.binary(max_size=3000), st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21\x11"]))
def test_taken_off_as_it_is_read(data: bytes, start: bytes) -> None:
    try:
        found = parse(start + data)
    except HeaderError:
        return
    if found is None:
        assert len(start + data) < len(SIGNATURE) + 4 + LONGEST_V2
    else:
        assert found[0] == read((start + data).removesuffix(found[1]))
