"""Where bodies end, however they are cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.http1.body_readers import CHUNKED, UNTIL_CLOSE, BodyReader, body_reader
from proxy_policies.validity import Invalid

CUTS = st.lists(st.integers(0, 60), max_size=6)
CHUNKS = b"5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nX-Sum: 6\r\n\r\n"


def fed(reader: BodyReader, data: bytes, cuts: list[int]) -> bytes:
    """Give all content of `data`, fed in pieces; what comes after the end is the last piece's."""
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


@pytest.mark.parametrize("data", [b"x\r\n", b"5\r\nhellooo", b"1" * 17 + b"\r\n", b"0\r\nbad trailer\r\n\r\n"])
def test_broken_chunks(data: bytes) -> None:
    with pytest.raises(Invalid):
        body_reader(CHUNKED).feed(data)
