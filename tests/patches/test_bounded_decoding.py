"""A body that decompresses to much is not decompressed completely for scripts and views."""

import bz2
import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
import zstandard
from mitmproxy import contentviews, http
from mitmproxy.net import encoding
from mitmproxy.test import taddons, tflow

from proxy_policies.patches import bounded_decoding
from proxy_policies.patches.bounded_decoding import MAX_CONTENT, MAX_VIEW, PATCH

MIB = 1 << 20
TEXT = b"<p>some text</p>\n" * 100


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    undo = PATCH.apply()
    assert undo
    yield
    undo()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def bare(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib as gzip": ("gzip", zlib.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd),
}


def answer_of(coding: str, packed: bytes) -> http.HTTPFlow:
    flow = tflow.tflow(resp=True)
    assert flow.response
    flow.response.headers["content-encoding"] = coding
    flow.response.headers["content-type"] = "text/html"
    flow.response.raw_content = packed
    return flow


@pytest.mark.parametrize(("coding", "encode"), ENCODERS.values(), ids=ENCODERS)
def test_what_is_of_a_usual_size_is_there(coding: str, encode: Callable[[bytes], bytes]) -> None:
    flow = answer_of(coding, encode(TEXT))
    assert flow.response
    assert flow.response.content == TEXT
    assert encoding.decode(b"", coding) == b""


def test_a_gzip_body_cut_short_is_read_as_far_as_it_goes() -> None:
    flow = answer_of("gzip", gzip.compress(TEXT)[:-4])
    assert flow.response
    assert flow.response.content == TEXT


@pytest.mark.parametrize(("coding", "encode"), ENCODERS.values(), ids=ENCODERS)
def test_a_script_gets_no_bomb(coding: str, encode: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_decoding._content, "limit", MIB)
    flow = answer_of(coding, packed := encode(bytes(64 * MIB)))
    assert flow.response
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than"):
            flow.response.content  # noqa: B018
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()
    assert flow.response.raw_content == packed
    assert MAX_CONTENT > MIB


@pytest.mark.parametrize("name", ["zlib", "ZLIB_codec", "zip", "bz2", "bz2_codec"])
def test_pythons_own_codecs_unpack_nothing(name: str) -> None:
    packed = bz2.compress(TEXT) if "bz2" in name else zlib.compress(TEXT)
    with pytest.raises(ValueError):
        encoding.decode(packed, name)
    assert encoding.decode("ä".encode("latin-1"), "latin-1") == "ä"


@pytest.mark.parametrize(("coding", "encode"), ENCODERS.values(), ids=ENCODERS)
def test_a_content_view_gets_little(coding: str, encode: Callable[[bytes], bytes]) -> None:
    with taddons.context():
        flow = answer_of(coding, encode(bytes(64 * MIB)))
        assert flow.response
        shown = contentviews.prettify_message(flow.response, flow)
        assert "[cannot decode]" in shown.description
        plain = answer_of("identity", TEXT * (MAX_VIEW // len(TEXT) + 9))
        assert plain.response
        shown = contentviews.prettify_message(plain.response, plain, "raw")
        assert f"[the first {MAX_VIEW} of " in shown.description
        assert len(shown.text) <= MAX_VIEW
        usual = answer_of(coding, encode(TEXT))
        assert usual.response
        assert contentviews.prettify_message(usual.response, usual, "raw").text == TEXT.decode()


def test_what_was_not_shown_whole_is_not_edited() -> None:
    with taddons.context():
        flow = answer_of("identity", b"<!-- -->" * (MAX_VIEW // 8) + b"the end")
        assert flow.response
        shown = contentviews.prettify_message(flow.response, flow, "graphql")
        with pytest.raises(ValueError, match="not all of it was shown"):
            contentviews.reencode_message(shown.text, flow.response, flow, "graphql")
