"""Chunked bodies: every way of cutting them into pieces gives the same; what is broken is refused.

Where bodies end, however they are cut."""

import contextlib
import itertools

import h11
import pytest
from h11._receivebuffer import ReceiveBuffer
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.http1.chunked import LIMIT, ChunkedReader
from proxy_policies.http1.framing import CHUNKED, UNTIL_CLOSE, BodyReader, body_reader
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
        *(b"3\n", b"3\nabc\n0\n\n", b"3;a=b\nabc\n0\n\n", b"3\r\nabc\r\n0\n\n"),
        *(b"0\r\nX\r\n\r\n", b"0\r\nX: a\x00\r\n\r\n", b"0\r\n X: a\r\n\r\n"),
    ],
)
def test_what_is_broken_is_refused(broken: bytes) -> None:
    with pytest.raises((h11.RemoteProtocolError, Invalid)):
        read([broken])


@pytest.mark.parametrize("trailers", [b"X : a\r\n", b"X: a\r\n b\r\n", b"Y: a\r\nX\t: b\r\n"])
def test_trailers_are_corrected_in_responses_only(trailers: bytes) -> None:
    body = ReceiveBuffer()
    body += b"0\r\n" + trailers + b"\r\n"
    with pytest.raises(Invalid):
        ChunkedReader(is_request=True)(body)
    assert read([b"0\r\n" + trailers + b"\r\n"])[1].trailers


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


CUTS = st.lists(st.integers(0, 60), max_size=6)
CHUNKS = b"5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nX-Sum: 6\r\n\r\n"


def fed(reader: BodyReader, data: bytes, cuts: list[int]) -> bytes:
    """Return all content of `data`, fed in pieces; what comes after the end is the last piece's."""
    content, places = b"", [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(places):
        if reader.is_finished:
            reader.rest += data[start:end]
        else:
            content += reader.feed(data[start:end])
    return content


@given(st.binary(max_size=40), st.binary(max_size=9), CUTS)
def test_a_length(body: bytes, rest: bytes, cuts: list[int]) -> None:
    reader = body_reader(len(body))
    assert fed(reader, body + rest, cuts) == body
    assert (reader.is_finished, reader.rest, reader.trailers) == (True, rest, ())


@given(st.sampled_from([b"", b"HTTP/1.1 200"]), CUTS)
def test_chunks(rest: bytes, cuts: list[int]) -> None:
    reader = body_reader(CHUNKED)
    assert fed(reader, CHUNKS + rest, cuts) == b"hello!"
    assert (reader.is_finished, reader.rest, reader.trailers) == (True, rest, ((b"X-Sum", b"6"),))


@pytest.mark.parametrize("size", [9, CHUNKED])
def test_a_body_that_ends_early(size: int | None) -> None:
    reader = body_reader(size)
    reader.feed(b"5\r\nhel")
    with pytest.raises(Invalid):
        reader.end(was_cut=False)


def test_a_body_that_ends_with_its_connection() -> None:
    reader = body_reader(UNTIL_CLOSE)
    assert reader.feed(b"all") == b"all"
    with pytest.raises(Invalid, match="broke"):
        reader.end(was_cut=True)
    reader.end(was_cut=False)
    assert reader.is_finished


GOOD = b'3\r\nabc\r\n2 ; x="y"\r\nde\r\n'
QUOTED = b'2;a="\r\n"\r\nok\r\n0\r\n\r\n'
"""An extension has no line end in it, so that its chunk is what follows that."""
BROKEN = (
    *(QUOTED, b"XX0\r\n\r\n", b"0\r\nX T: 1\r\n\r\n", b"0\r\nX: a\x00\r\n\r\n", b"\r\n\r\n", b"x\r\n"),
    *(b"1" * 17 + b"\r\n", b"0\r\nbad trailer\r\n\r\n", b"1;" + b"x" * LIMIT + b"\r\nx\r\n"),
)


@given(st.sampled_from([b"", GOOD]), st.sampled_from(BROKEN), st.lists(st.integers(0, len(GOOD) + 40), max_size=6))
def test_what_came_before_a_break_is_given_and_then_no_more(good: bytes, broken: bytes, cuts: list[int]) -> None:
    reader, content, data = body_reader(CHUNKED), b"", good + broken
    places = [0, *(min(cut, len(data)) for cut in sorted(cuts)), len(data)]
    with contextlib.suppress(Invalid):
        for start, end in itertools.pairwise(places):
            content += reader.feed(data[start:end])
    assert content == (b"abcde" if good else b"") + (b'"\r' if broken is QUOTED else b"")
    assert (reader.is_broken, reader.is_finished) == (True, False)
    for refused in (b"", b"0\r\n\r\n"):
        with pytest.raises(Invalid):
            reader.feed(refused)
    assert not reader.is_finished


def test_more_than_a_chunk_says_is_not_given() -> None:
    reader = body_reader(CHUNKED)
    assert reader.feed(b"5\r\nhellooo") == b"hello"
    with pytest.raises(Invalid):
        reader.feed(b"")
