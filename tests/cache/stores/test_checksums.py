"""Checksums of bodies outside of this process."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy_policies.cache.stores.checksums import (
    BLOCK,
    CHECKSUM,
    Checksums,
    DamagedBodyError,
    Trailer,
    blocks_of,
    body_size,
    trailer_size,
    verified,
)


def file_of(body: bytes, step: int = 10_000) -> bytes:
    checksums = Checksums()
    for at in range(0, len(body), step):
        checksums.feed(body[at : at + step])
    return body + checksums.finish("one")


SIZES = st.integers(0, 3 * BLOCK) | st.builds(
    lambda blocks, more: max(blocks * BLOCK + more, 0), st.integers(0, 3), st.integers(-5, 5)
)


@given(SIZES, st.integers(1, 2 * BLOCK))
@example(0, 1)
@example(BLOCK, 1 << 20)
def test_a_file_holds_its_body_however_that_was_written(size: int, step: int) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    file = file_of(body[:size], step)
    assert (body_size(len(file)), verified(file, "one")) == (size, body[:size])


@given(SIZES, st.integers(0), st.integers(1, 255))
def test_a_byte_that_changed_is_noticed(size: int, at: int, bits: int) -> None:
    file = bytearray(file_of(b"x" * size))
    file[at % len(file)] ^= bits
    with pytest.raises(DamagedBodyError):
        verified(bytes(file), "one")


@given(SIZES)
def test_anothers_body_is_noticed(size: int) -> None:
    with pytest.raises(DamagedBodyError):
        verified(file_of(b"x" * size), "two")


@given(SIZES, st.integers(0, 4 * BLOCK))
def test_a_file_of_another_size_is_noticed(size: int, other: int) -> None:
    file = file_of(b"x" * size) + b"\1" * 4 * BLOCK
    cut = file[:other]
    if other != len(file_of(b"x" * size)):
        with pytest.raises(DamagedBodyError):
            verified(cut, "one")


@given(SIZES, st.integers(0, 3 * BLOCK), st.integers(0, 3 * BLOCK))
def test_the_blocks_that_a_part_lies_in(size: int, one: int, other: int) -> None:
    start, stop = sorted((min(one, size), min(other, size)))
    body = bytes(size)
    checksums = file_of(body)[size:]
    blocks = list(blocks_of(start, stop, size))
    trailer = Trailer(checksums, "one")
    for first, last in blocks:
        trailer.verify(body[first:last], first)
    assert len(checksums) == trailer_size(size) == CHECKSUM * (len(list(blocks_of(0, size, size))) + 1)
    if start < stop:
        assert blocks[0][0] <= start
        assert stop <= blocks[-1][1] <= size
