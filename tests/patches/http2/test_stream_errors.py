"""An error of one HTTP/2 stream ends that stream; what garbles the connection still ends it (RFC 9113 section 5.4)."""

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.frame_buffer import FrameBuffer
from hpack import Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    HeadersFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from proxy_policies.patches.http2.stream_errors import PerStreamConnection

HEAD = [(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")]


def holds_nothing_back(_: int) -> bool:
    return False


class Pair:
    """A client of hyper-h2's and our side of the server, with two streams open."""

    def __init__(self, most_streams: int = 100) -> None:
        self.client = H2Connection(H2Configuration(client_side=True))
        self.server = PerStreamConnection(H2Configuration(client_side=False), holds_nothing_back)
        self.client.initiate_connection()
        self.server.local_settings.max_concurrent_streams = most_streams
        self.server.initiate_connection()
        for number in (1, 3):
            self.client.send_headers(number, HEAD)
        self.pass_on()
        self.client.receive_data(self.server.data_to_send())

    def pass_on(self, *frames: Frame, raw: bytes = b"") -> list[Event]:
        data = self.client.data_to_send() + b"".join(frame.serialize() for frame in frames) + raw
        return self.server.receive_data(data)  # type: ignore[no-any-return]

    def resets(self) -> list[tuple[int, int]]:
        """Return the streams that our side has reset, and why."""
        frames = FrameBuffer()
        frames.max_frame_size = 1 << 14
        frames.add_data(self.server.data_to_send())
        return [(frame.stream_id, frame.error_code) for frame in frames if isinstance(frame, RstStreamFrame)]

    def goes_on(self) -> bool:
        """Return whether the other stream, and new ones, still work."""
        self.client.send_data(3, b"more")
        self.client.send_headers(9, HEAD, end_stream=True)
        kinds = [type(event) for event in self.pass_on()]
        return DataReceived in kinds and RequestReceived in kinds


def raw_frame(kind: int, stream_id: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, 0]) + stream_id.to_bytes(4) + payload


STREAM_FRAMES = {
    "a window update of nothing": raw_frame(WindowUpdateFrame.type, 1, bytes(4)),
    "a window beyond its end": raw_frame(WindowUpdateFrame.type, 1, (2**31 - 1).to_bytes(4)),
    "a short window update": raw_frame(WindowUpdateFrame.type, 1, b"\0\0"),
    "a short priority": raw_frame(PriorityFrame.type, 1, b"\0\0"),
    "a stream that depends on itself": raw_frame(PriorityFrame.type, 1, b"\0\0\0\1\0"),
}


@pytest.mark.parametrize("frame", STREAM_FRAMES.values(), ids=STREAM_FRAMES)
def test_the_stream_is_reset_and_the_others_go_on(frame: bytes) -> None:
    pair = Pair()
    assert [event.stream_id for event in pair.pass_on(raw=frame) if isinstance(event, StreamReset)] == [1]
    assert [number for number, _ in pair.resets()] == [1]
    assert pair.goes_on()


def test_a_malformed_message_is_an_error_of_its_stream() -> None:
    pair = Pair()
    fields = [*HEAD, ("Upper-Case", "1")]
    block = pair.client.encoder.encode(fields)
    pair.pass_on(HeadersFrame(5, block, flags=["END_HEADERS", "END_STREAM"]))
    assert [number for number, _ in pair.resets()] == [5]
    assert pair.goes_on()


def test_a_stream_beyond_the_limit_is_refused_and_its_fields_still_count() -> None:
    pair = Pair(most_streams=2)
    named = [*HEAD, ("x-own", "that later streams refer to")]
    pair.pass_on(HeadersFrame(5, pair.client.encoder.encode(named), flags=["END_HEADERS"]))
    assert pair.resets() == [(5, 7)], "REFUSED_STREAM: it may be sent again"
    pair.pass_on(RstStreamFrame(1))
    (event,) = pair.pass_on(HeadersFrame(7, pair.client.encoder.encode(named), flags=["END_HEADERS"]))
    assert isinstance(event, RequestReceived)
    assert (b"x-own", b"that later streams refer to") in event.headers


def test_what_we_send_has_no_larger_table_than_the_default() -> None:
    """hpack would search all that it has ever sent for each field line."""
    pair = Pair()
    pair.pass_on(SettingsFrame(settings={SettingsFrame.HEADER_TABLE_SIZE: 1 << 31}))
    assert pair.server.encoder.header_table_size == 4096


OF_ALL = {
    "fields that cannot be unpacked": HeadersFrame(5, b"\xff\xff\xff\xff\xff", flags=["END_HEADERS"]).serialize(),
    "a window update of the connection": raw_frame(WindowUpdateFrame.type, 0, bytes(4)),
    "a frame of a stream that never was": raw_frame(WindowUpdateFrame.type, 99, (1).to_bytes(4)),
    "settings of a stream": raw_frame(4, 1, b""),
}


@pytest.mark.parametrize("data", OF_ALL.values(), ids=OF_ALL)
def test_what_all_streams_share_ends_the_connection(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Pair().pass_on(raw=data)


@pytest.mark.parametrize("cut", range(1, 13))
def test_it_does_not_count_how_bytes_are_split(cut: int) -> None:
    pair, frame = Pair(), STREAM_FRAMES["a window update of nothing"]
    events = [*pair.pass_on(raw=frame[:cut]), *pair.pass_on(raw=frame[cut:])]
    assert [event.stream_id for event in events if isinstance(event, StreamReset)] == [1]


ENDED = [
    (content, ending)
    for content in (b"", b"abc", b"hello")
    for ending in ("at the head", "at the data", "at empty data", "at trailers")
    if ending != ("at the head" if content else "at the data")
]


def answered(method: str, status: str, length: int, content: bytes, ending: str) -> list[Event]:
    """Answer a request of our side's with HTTP/2 frames, and give what it makes of them."""
    client = PerStreamConnection(H2Configuration(client_side=True), holds_nothing_back)
    client.initiate_connection()
    client.send_headers(1, [(":method", method), *HEAD[1:]], end_stream=True)
    fields = [(":status", status), ("content-length", str(length))]
    flags = ["END_HEADERS", *(["END_STREAM"] if ending == "at the head" else [])]
    frames: list[Frame] = [SettingsFrame(0), HeadersFrame(1, Encoder().encode(fields), flags=flags)]
    if content:
        frames.append(DataFrame(1, content, flags=["END_STREAM"] if ending == "at the data" else []))
    if ending == "at empty data":
        frames.append(DataFrame(1, b"", flags=["END_STREAM"]))
    if ending == "at trailers":
        frames.append(HeadersFrame(1, Encoder().encode([("x", "1")]), flags=["END_HEADERS", "END_STREAM"]))
    return client.receive_data(b"".join(frame.serialize() for frame in frames))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("content", "ending"), ENDED)
def test_a_length_is_held_to_the_content_however_it_ends(content: bytes, ending: str) -> None:
    events = answered("GET", "200", 5, content, ending)
    assert any(isinstance(event, StreamReset) for event in events) == (content != b"hello")
    assert any(isinstance(event, StreamEnded) for event in events) == (content == b"hello")


@pytest.mark.parametrize("ending", ["at the head", "at empty data", "at trailers"])
@pytest.mark.parametrize(("method", "status"), [("HEAD", "200"), ("GET", "304"), ("GET", "204")])
def test_where_there_is_no_content_the_length_is_another_ones(method: str, status: str, ending: str) -> None:
    events = answered(method, status, 5, b"", ending)
    assert not any(isinstance(event, StreamReset) for event in events)
    assert any(isinstance(event, StreamEnded) for event in events)
