"""What unpacks to much is not unpacked whole for whoever looks at it."""

import bz2
import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
import wsproto.extensions
import zstandard
from mitmproxy import contentviews, http
from mitmproxy.net import encoding
from mitmproxy.test import taddons, tflow
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import CloseConnection, Message
from wsproto.frame_protocol import CloseReason

from proxy_policies.patches import bounded_decoding
from proxy_policies.patches.bounded_decoding import CONTENT_MOST, MESSAGE_MOST, PATCHES, VIEW_MOST

MIB = 1 << 20
TEXT = b"<p>some text</p>\n" * 100


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    undo = [undo for patch in PATCHES if (undo := patch.apply())]
    assert len(undo) == len(PATCHES)
    yield
    for each in reversed(undo):
        each()


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
    monkeypatch.setattr(bounded_decoding._content, "most", MIB)
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
    assert CONTENT_MOST > MIB


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
        plain = answer_of("identity", TEXT * (VIEW_MOST // len(TEXT) + 9))
        assert plain.response
        shown = contentviews.prettify_message(plain.response, plain, "raw")
        assert f"[the first {VIEW_MOST} of " in shown.description
        assert len(shown.text) <= VIEW_MOST
        usual = answer_of(coding, encode(TEXT))
        assert usual.response
        assert contentviews.prettify_message(usual.response, usual, "raw").text == TEXT.decode()


def test_what_was_not_shown_whole_is_not_edited() -> None:
    with taddons.context():
        flow = answer_of("identity", b"<!-- -->" * (VIEW_MOST // 8) + b"the end")
        assert flow.response
        shown = contentviews.prettify_message(flow.response, flow, "graphql")
        with pytest.raises(ValueError, match="not all of it was shown"):
            contentviews.reencode_message(shown.text, flow.response, flow, "graphql")


def websocket(kind: ConnectionType) -> Connection:
    deflate = wsproto.extensions.PerMessageDeflate()
    deflate.finalize("permessage-deflate")
    return Connection(kind, [deflate])


def received(size: int, fragments: int = 1) -> list[object]:
    """Send a message of NULs in fragments, and give what the other side makes of them."""
    sender, receiver = websocket(ConnectionType.CLIENT), websocket(ConnectionType.SERVER)
    found: list[object] = []
    for number in range(1, fragments + 1):
        receiver.receive_data(sender.send(Message(bytes(size // fragments), message_finished=number == fragments)))
        for event in receiver.events():
            found.append(len(event.data) if isinstance(event, Message) else event)
    return found


@pytest.mark.parametrize("fragments", [1, 10])
def test_a_message_that_unpacks_to_much_ends_the_connection(fragments: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_decoding, "MESSAGE_MOST", MIB)
    *_, last = received(20 * MIB, fragments)
    assert isinstance(last, CloseConnection)
    assert last.code == CloseReason.MESSAGE_TOO_BIG
    assert sum(size for size in received(MIB, 1) if isinstance(size, int)) == MIB
    assert MESSAGE_MOST > MIB


def test_no_more_of_a_message_is_unpacked_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is in one frame: what is made of it counts, not what is kept."""
    monkeypatch.setattr(bounded_decoding, "MESSAGE_MOST", MIB)
    frame = websocket(ConnectionType.CLIENT).send(Message(bytes(64 * MIB)))
    receiver = websocket(ConnectionType.SERVER)
    tracemalloc.start()
    try:
        receiver.receive_data(frame)
        assert any(isinstance(event, CloseConnection) for event in receiver.events())
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_a_message_that_never_ends_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_decoding, "MESSAGE_MOST", 10_000)
    sender, receiver = Connection(ConnectionType.CLIENT), Connection(ConnectionType.SERVER)
    kept = 0
    for _ in range(100):
        receiver.receive_data(sender.send(Message(bytes(1000), message_finished=False)))
        for event in receiver.events():
            if isinstance(event, CloseConnection):
                assert (event.code, kept) == (CloseReason.MESSAGE_TOO_BIG, 10_000)
                return
            assert isinstance(event, Message)
            kept += len(event.data)
    raise AssertionError("it goes on")


def test_messages_are_counted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_decoding, "MESSAGE_MOST", MIB)
    sender, receiver = websocket(ConnectionType.CLIENT), websocket(ConnectionType.SERVER)
    for _ in range(5):
        receiver.receive_data(sender.send(Message(bytes(MIB // 2))))
        assert sum(len(event.data) for event in receiver.events() if isinstance(event, Message)) == MIB // 2
