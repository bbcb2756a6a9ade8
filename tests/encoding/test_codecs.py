"""What is encoded can be decoded, however it is split and whenever it is flushed."""

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.encoding import codecs
from proxy_policies.encoding.codecs import CODECS, encoder


def decode(coding: str, body: bytes) -> bytes:
    match coding:
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(body)
        case "br":
            return bytes(brotli.decompress(body))
        case "gzip":
            return gzip.decompress(body)
        case _:
            return zlib.decompress(body)


def decode_begun(coding: str, body: bytes) -> bytes:
    """Decode what came so far of a body that is not over."""
    match coding:
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(body)
        case "br":
            return bytes(brotli.Decompressor().process(body))
        case _:
            return zlib.decompressobj(codecs.GZIP if coding == "gzip" else codecs.ZLIB).decompress(body)


@pytest.fixture(params=["isal", "zlib-ng", "zlib"])
def each_zlib(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "isal":
        monkeypatch.setattr(codecs, "isal_zlib", None)
    if request.param == "zlib":
        monkeypatch.setattr(codecs, "zlib_ng", None)


def encoded(coding: str, flushed: bool, pieces: list[bytes]) -> bytes:
    made = encoder(coding)
    return b"".join([made.feed(piece) + (made.flush() if flushed else b"") for piece in pieces] + [made.finish()])


@pytest.mark.usefixtures("each_zlib")
@pytest.mark.parametrize("coding", CODECS)
@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("pieces", [[], [b"x"], [b"a" * 65536] * 20, [bytes(range(256)) * 4] * 3])
def test_what_is_encoded_can_be_decoded(coding: str, flushed: bool, pieces: list[bytes]) -> None:
    body = encoded(coding, flushed, pieces)
    assert decode(coding, body) == b"".join(pieces)


@given(st.sampled_from(list(CODECS)), st.booleans(), st.lists(st.binary(min_size=1, max_size=3000), max_size=8))
def test_framing_does_not_matter(coding: str, flushed: bool, pieces: list[bytes]) -> None:
    body = encoded(coding, flushed, pieces)
    assert decode(coding, body) == b"".join(pieces)


@pytest.mark.usefixtures("each_zlib")
@pytest.mark.parametrize("coding", CODECS)
def test_what_is_flushed_can_be_decoded_at_once(coding: str) -> None:
    made, sent, plain = encoder(coding), b"", b""
    for number in range(5):
        event = f"data: event {number}\n\n".encode()
        sent, plain = sent + made.feed(event) + made.flush(), plain + event
        assert not made.holds_back
        assert decode_begun(coding, sent) == plain
