"""The PROXY v2 header, against examples worked out by hand from the specification."""

from __future__ import annotations

import pytest

from proxy_policies.reverse_tunnel.messages import Address
from proxy_policies.reverse_tunnel.proxy_protocol import header

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
def test_header(case: tuple[Address | None, Address | None, bytes]) -> None:
    client, server, expected = case
    assert header(client, server) == SIGNATURE + expected
