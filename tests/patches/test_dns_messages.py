"""DNS messages as they are read, whatever they are."""

import contextlib
import struct
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import DNSLayer
from mitmproxy.test import tflow

from proxy_policies.patches.dns_messages import COMPANIONS, MAX_NAMES

LONG = b"\x01a" * 120 + b"\0"


@pytest.fixture(autouse=True, scope="module")
def patched() -> Iterator[None]:
    undos = [undo for companion in COMPANIONS if (undo := companion.apply())]
    yield
    for undo in undos:
        undo()


def message(name: bytes, answers: bytes = b"", count: int = 0) -> bytes:
    return struct.pack("!6H", 7, 0x0100, 1, count, 0, 0) + name + b"\0\1\0\1" + answers


def read(data: bytes) -> list[bytes]:
    """Read a datagram, and return what would be sent on. Raise struct.error."""
    client = tflow.tclient_conn()
    client.transport_protocol = "udp"
    return [it.packed for it in DNSLayer(Context(client, Options())).unpack_message(data, True)]


def pointers(count: int) -> bytes:
    """Return a message with a TXT record that consists of pointers to a long name."""
    content = b"\xc0\x0c" * count
    return message(LONG, b"\xc0\x0c" + struct.pack("!HHIH", 16, 1, 60, len(content)) + content, 1)


def test_a_message_of_pointers_only() -> None:
    assert read(pointers(100))
    before = time.thread_time()
    with pytest.raises(struct.error, match="too many names"):
        read(pointers(MAX_NAMES * 10))
    assert time.thread_time() - before < 20


@pytest.mark.parametrize("name", [b"\x0axn--fa-hia\x02de\0", b"\x04xn--\0", b"\x07ExAmPlE\0", b"\x06_dmarc\0"])
def test_names_are_sent_on_as_they_came(name: bytes) -> None:
    assert read(message(name)) == [message(name)]


labels = st.binary(min_size=1, max_size=8) | st.sampled_from([b"xn--a", b"a.", b".", b"xn--mnchen-3ya"])
names = st.lists(labels).map(lambda them: b"".join(bytes([len(it)]) + it for it in them))
ends = st.sampled_from([b"\0", b"\xc0\x0c", b"\xc0\x0d", b"\xc0\x0e", b"\xff\xff", b""])


@given(name=names, end=ends, rest=st.binary(max_size=30), count=st.integers(0, 2))
def test_nothing_but_struct_error_is_raised(name: bytes, end: bytes, rest: bytes, count: int) -> None:
    with contextlib.suppress(struct.error):
        read(message(name + end, rest, count))
