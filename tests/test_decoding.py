"""Content codings undone, never beyond a bound."""

import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.decoding import DECODERS, MAX_CODINGS, MAX_MEMBERS, TooLarge, codings_of, decode, decode_all

MIB = 1 << 20


def deflate_bare(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def zstd_streamed(data: bytes) -> bytes:
    """No content size in the frame's head."""
    compressor = zstandard.ZstdCompressor().compressobj()
    return compressor.compress(data) + compressor.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate, bare": ("deflate", deflate_bare),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
    "zstd, streamed": ("zstd", zstd_streamed),
    "gzip, members": ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
    "zstd, frames": ("zstd", lambda data: zstd_streamed(data[:9]) + zstd_streamed(data[9:])),
}
every_coding = pytest.mark.parametrize(("coding", "encode"), ENCODERS.values(), ids=ENCODERS)


@every_coding
@given(data=st.one_of(st.binary(max_size=300), st.binary(max_size=20).map(lambda some: some * 50_000)))
def test_what_was_encoded_comes_back(coding: str, encode: Callable[[bytes], bytes], data: bytes) -> None:
    encoded = encode(data)
    assert decode_all(encoded, coding, len(data)) == data
    if data:
        with pytest.raises(TooLarge):
            decode_all(encoded, coding, len(data) - 1)


@every_coding
def test_what_is_cut_short_or_followed_by_something_is_not_whole(coding: str, encode: Callable[[bytes], bytes]) -> None:
    encoded = encode(b"some text, " * 1000)
    for broken in (encoded[:-1], encoded[: len(encoded) // 2], encoded + b"!", b"!" + encoded):
        with pytest.raises(ValueError):
            decode_all(broken, coding, MIB)


@given(data=st.binary(max_size=60), coding=st.sampled_from(sorted(DECODERS)))
def test_any_bytes_are_content_or_an_error(data: bytes, coding: str) -> None:
    try:
        assert len(decode(data, coding, 100)) <= 100
    except ValueError:
        return


def bomb(encode: Callable[[bytes], bytes], size: int = 64 * MIB) -> bytes:
    return encode(bytes(size))


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", bomb(gzip.compress)),
        ("gzip", bomb(gzip.compress, MIB) * 64),
        ("deflate", bomb(deflate_bare)),
        ("br", bomb(lambda data: bytes(brotli.compress(data, quality=1)))),
        ("zstd", bomb(zstd_streamed)),
        ("zstd", bomb(zstd_streamed, MIB) * 64),
        ("gzip, gzip", gzip.compress(bomb(gzip.compress))),
        ("gzip, br", bytes(brotli.compress(bomb(gzip.compress)))),
    ],
    ids=["gzip", "members", "deflate", "br", "zstd", "frames", "twice", "mixed"],
)
def test_a_bomb_makes_little_more_than_the_bound(coding: str, packed: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decode_all(packed, coding, MIB)
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("empty", [gzip.compress(b""), zstd_streamed(b"")], ids=["gzip", "zstd"])
def test_members_that_hold_nothing_are_counted(empty: bytes) -> None:
    coding = "gzip" if empty.startswith(b"\x1f") else "zstd"
    assert decode_all(empty * MAX_MEMBERS, coding, MIB) == b""
    began = time.process_time()
    with pytest.raises(ValueError, match="members"):
        decode_all(empty * (16 * MIB // len(empty)), coding, MIB)
    assert time.process_time() - began < 5, "seconds of work"


def test_codings_are_undone_in_reverse_and_counted() -> None:
    assert decode_all(zlib.compress(gzip.compress(b"x")), " GZIP , deflate,", 100) == b"x"
    assert decode_all(b"x", None, 1) == decode_all(b"x", "identity", 1) == b"x"
    assert decode_all(b"", "gzip", 0) == b"", "a 204 with the field"
    assert codings_of("a, B,,") == ["a", "b"]
    with pytest.raises(ValueError, match="unknown coding 'lzma'"):
        decode_all(b"x", "lzma", 1)
    with pytest.raises(ValueError, match=f"more than {MAX_CODINGS}"):
        decode_all(b"x", ", ".join(["identity"] * (MAX_CODINGS + 1)), 1)
