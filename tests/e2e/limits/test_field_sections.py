"""A few bytes of compressed fields may stand for many (RFC 9114, section 10.5.1): the memory does not follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aioquic.asyncio.client import connect
from aioquic.buffer import encode_uint_var
from aioquic.h3.events import HeadersReceived
from hpack.hpack import encode_integer
from tests.support.bulk import Memory
from tests.support.h3_end import H3End, configuration
from tests.support.mitmdump import Mitmdump


def text(data: bytes, prefix_bits: int, pattern: int) -> bytes:
    """Encode a string (RFC 9204, section 4.1.2)."""
    size = encode_integer(len(data), prefix_bits)
    size[0] |= pattern
    return bytes(size) + data


def indexed(line: int) -> bytes:
    """Encode a field line of the static table (RFC 9204, section 4.5.2)."""
    return bytes((0xC0 | line,))


AUTHORITY = b"\x50" + text(b"localhost", 7, 0)
GET = indexed(17) + indexed(23) + indexed(1) + AUTHORITY
CAPACITY = b"\x3f\xe1\x1f"  # 4096
ENTRY = CAPACITY + text(b"x", 5, 0x40) + text(b"y" * 4000, 7, 0)
LINES_OF_THE_TABLE = b"\2\0" + GET + b"\x80" * 60_000
PLAIN = b"\0\0" + GET


class Client(H3End):
    """Notes the status of each response."""

    statuses: list[bytes]

    def head_received(self, event: HeadersReceived) -> None:
        """Note it."""
        self.statuses.append(dict(event.headers)[b":status"])


async def send(port: int, section: bytes, table: bytes = b"") -> list[bytes]:
    """Send a request's head, and what fills the table; return its status, or nothing if the connection has ended."""
    async with connect("127.0.0.1", port, configuration=configuration(is_client=True), create_protocol=Client) as end:
        assert isinstance(end, Client)
        end.statuses = []
        quic = end._quic
        quic.send_stream_data(end.h3._local_encoder_stream_id or 0, table)
        frame = b"\1" + encode_uint_var(len(section)) + section
        quic.send_stream_data(quic.get_next_available_stream_id(), frame, end_stream=True)
        end.transmit()
        await end.until(lambda: bool(end.statuses or end._closed.is_set()))
        return end.statuses


def test_over_http3(mitmdump: Callable[..., Mitmdump]) -> None:
    proxy = mitmdump(mode="reverse:http3://127.0.0.1:9")
    assert asyncio.run(send(proxy.port, PLAIN)) == [b"502"]
    memory = Memory(proxy.pid)
    assert asyncio.run(send(proxy.port, LINES_OF_THE_TABLE, ENTRY)) in ([], [b"431"])
    assert memory.growth() < 40 << 20
    assert asyncio.run(send(proxy.port, PLAIN)) == [b"502"]
