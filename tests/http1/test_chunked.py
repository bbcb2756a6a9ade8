"""Chunked bodies: every way of cutting them into pieces gives the same; what is broken is refused."""

import itertools

import h11
import pytest
from h11._receivebuffer import ReceiveBuffer
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.http1.chunked import LIMIT, ChunkedReader
from proxy_policies.validity import Invalid

WHOLE = b'3\r\nabc\r\n0000A ; x="y"\r\n0123456789\r\n1\t\r\nz\r\n0;end\r\nX-Sum: 1\r\nHost: no\r\n\r\n'


def read(pieces: list[bytes]) -> tuple[bytes, ChunkedReader, bytes]:
    """Feed pieces, and give the body, the reader and what was not read; the body may be without an end."""
    reader, buf, body = ChunkedReader(), ReceiveBuffer(), b""
    for number, piece in enumerate(pieces, 1):
        buf += piece
        while (part := reader(buf)) is not None:
            if isinstance(part, h11.EndOfMessage):
                return body, reader, bytes(buf) + b"".join(pieces[number:])
            body += part.data
    return body, reader, b"no end"


@given(st.lists(st.integers(0, len(WHOLE)), max_size=6))
def test_however_it_is_cut(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[start:end] for start, end in itertools.pairwise(ends)]
    body, reader, left = read([*pieces[:-1], pieces[-1] + b"GET"])
    assert (body, reader.trailers, left) == (b"abc0123456789z", ((b"X-Sum", b"1"),), b"GET")


@pytest.mark.parametrize(
    "broken",
    [
        *(b"\r\n", b"x\r\n", b"-1\r\n", b"0x1\r\n", b" 3\r\nabc\r\n", b"3 x\r\nabc\r\n", b"1" * 17 + b"\r\n"),
        *(b"3\r\nabcd\r\n", b"3\r\nabc\n0\r\n\r\n", b"3;a\x01\r\nabc\r\n", b"3;a\nb\r\nabc\r\n", b"3\n\r\n"),
        *(b"0\r\nX\r\n\r\n", b"0\r\nX: a\x00\r\n\r\n", b"0\r\n X: a\r\n\r\n"),
    ],
)
def test_what_is_broken_is_refused(broken: bytes) -> None:
    with pytest.raises((h11.RemoteProtocolError, Invalid)):
        read([broken])


def test_an_end_of_file_is_no_end() -> None:
    with pytest.raises(h11.RemoteProtocolError):
        ChunkedReader().read_eof()


SLACK = 100
TOO_LARGE = {
    "an extension": b"1;%s\r\nx\r\n0\r\n\r\n",
    "the last chunk's": b"0;%s\r\n\r\n",
    "a trailer": b"0\r\nX: %s\r\n\r\n",
    "many trailers": b"0\r\nX: %s\r\n" + b"X: y\r\n" * 20 + b"\r\n",
}


@pytest.mark.parametrize("kind", TOO_LARGE)
@pytest.mark.parametrize("at_once", [False, True])
def test_what_is_too_large_is_so_however_it_is_cut(kind: str, at_once: bool) -> None:
    whole = TOO_LARGE[kind] % (b"x" * LIMIT)
    pieces = [whole] if at_once else [whole[:LIMIT], whole[LIMIT:]]
    with pytest.raises(h11.RemoteProtocolError, match="too long"):
        read(pieces)
    _, _, left = read([TOO_LARGE[kind] % (b"x" * (LIMIT - SLACK - 20 * 6))])
    assert left == b""
