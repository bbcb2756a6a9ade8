"""Messages over HTTP/3, as mitmproxy's layers get them."""

import pytest
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import Setting
from aioquic.h3.events import H3Event, HeadersReceived
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import connection, options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._events import RequestHeaders, RequestProtocolError
from mitmproxy.proxy.layers.http._http_h3 import StreamClosed, TrailersReceived
from mitmproxy.proxy.layers.quic import (
    CloseQuicConnection,
    QuicStreamDataReceived,
    ResetQuicStream,
    SendQuicStreamData,
    StopSendingQuicStream,
)

from proxy_policies.http1 import request_heads
from proxy_policies.patches.http3 import LONG_SECTION, CheckedH3Connection, Http3ClientSide

VALID = {b":method": b"GET", b":scheme": b"https", b":authority": b"localhost", b":path": b"/"}


def server(*, is_strict: bool = True) -> Http3ClientSide:
    settings = options.Options()
    settings.add_option("validate_inbound_headers", bool, is_strict, "")
    client = connection.Client(
        peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0, transport_protocol="udp"
    )
    return Http3ClientSide(Context(client, settings))


def head(**pseudo: bytes) -> HeadersReceived:
    fields = VALID | {f":{name}".encode(): value for name, value in pseudo.items()}
    return HeadersReceived(headers=list(fields.items()), stream_id=0, stream_ended=True)


def test_a_valid_request_is_read() -> None:
    read = server().parse_headers(head())
    assert isinstance(read, RequestHeaders)
    assert (read.request.http_version, read.request.path, read.end_stream) == ("HTTP/3", "/", True)


@pytest.mark.parametrize("pseudo", [{"path": b"/a b"}, {"path": b"a"}, {"method": b"GE T"}, {"authority": b"a,b"}])
def test_an_invalid_one_is_answered_and_goes_to_no_layer(pseudo: dict[str, bytes]) -> None:
    layer = server()
    read = layer.parse_headers(head(**pseudo))
    assert isinstance(read, RequestProtocolError)
    sent = [command for command in layer.h3_conn.transmit() if isinstance(command, SendQuicStreamData)]
    assert [command.end_stream for command in sent if command.stream_id == 0] == [False, True]
    assert [error.status for error in layer.h3_conn.refused] == [400]


def test_one_is_taken_as_it_is_if_the_user_says_so() -> None:
    assert isinstance(server(is_strict=False).parse_headers(head(path=b"/a b")), RequestHeaders)


CLIENT = connection.Client(peername=("h", 1), sockname=("h", 2))
SERVER = connection.Server(address=("localhost", 443), transport_protocol="udp")
HEAD = [(b":status", b"200"), (b"content-type", b"text/plain")]
INTERIM = [(b":status", b"103"), (b"link", b"</style.css>")]
BODY = b"0123456789" * 20


def sent(heads: list[list[tuple[bytes, bytes]]], body: bytes) -> bytes:
    """Give the bytes of a response's stream."""
    sender = CheckedH3Connection(CLIENT, is_client=False)
    for lines in heads:
        sender.send_headers(0, lines)
    if body:
        sender.send_data(0, body)
    made = [it.data for it in sender.transmit() if isinstance(it, SendQuicStreamData) and it.stream_id == 0]
    return b"".join(made)


def received(data: bytes, *splits: int, method: str = "GET") -> tuple[bool, bool]:
    """Receive the bytes and the end of a response's stream: whether it is a whole one, and whether that is an error."""
    receiver, events, at = CheckedH3Connection(SERVER, is_client=True), list[H3Event](), 0
    if method == "HEAD":
        receiver.heads.add(0)
    for end in (*sorted(splits), len(data)):
        events += receiver.handle_stream_event(
            QuicStreamDataReceived(SERVER, 0, data[at:end], end_stream=end == len(data))
        )
        at = end
    is_closed = any(isinstance(it, CloseQuicConnection) for it in receiver.transmit())
    is_error = is_closed or any(isinstance(it, StreamClosed) for it in events)
    return any(getattr(it, "stream_ended", False) for it in events), is_error


@given(st.data())
def test_what_is_cut_off_is_never_whole(data: st.DataObject) -> None:
    """RFC 9114, section 7.1: the end of a stream within a frame is an error."""
    whole = sent([INTERIM, HEAD], BODY)
    size = data.draw(st.integers(0, len(whole)))
    split = data.draw(st.integers(0, max(size - 1, 0)))
    is_end_of_frame = size in (len(whole), len(sent([INTERIM, HEAD], b"")))
    assert received(whole[:size], split) == (is_end_of_frame, not is_end_of_frame)


LONG = (b"content-length", b"5")


@pytest.mark.parametrize(("method", "status"), [("HEAD", b"200"), ("GET", b"304"), ("HEAD", b"404")])
def test_a_length_without_content_is_no_error(method: str, status: bytes) -> None:
    assert received(sent([[(b":status", status), LONG]], b""), method=method) == (True, False)


@pytest.mark.parametrize(("method", "status"), [("HEAD", b"200"), ("GET", b"204"), ("GET", b"304")])
def test_content_where_there_is_none_is_an_error(method: str, status: bytes) -> None:
    assert received(sent([[(b":status", status)]], BODY), method=method) == (False, True)


@pytest.mark.parametrize("body", [b"", b"1234", b"123456"])
def test_content_of_another_length_is_an_error(body: bytes) -> None:
    assert received(sent([[*HEAD, LONG]], body)) == (False, True)


def trailers_received(*trailers: tuple[bytes, bytes]) -> tuple[H3Event, list[type[object]]]:
    """Receive a response with trailers: the last event, and what is sent because of it, but for data."""
    sender = CheckedH3Connection(CLIENT, is_client=False)
    sender.send_headers(0, HEAD)
    sender.send_trailers(0, list(trailers))
    data = b"".join(it.data for it in sender.transmit() if isinstance(it, SendQuicStreamData) and not it.stream_id)
    receiver = CheckedH3Connection(SERVER, is_client=True)
    list(receiver.transmit())
    event = receiver.handle_stream_event(QuicStreamDataReceived(SERVER, 0, data, end_stream=True))[-1]
    return event, [type(it) for it in receiver.transmit() if not isinstance(it, SendQuicStreamData)]


def test_trailers_are_held_to_what_fields_are() -> None:
    event, sent = trailers_received((b"x-sum", b"1"), (b"content-length", b"5"), (b"set-cookie", b"a=b"))
    assert isinstance(event, TrailersReceived)
    assert (event.trailers, sent) == ([(b"x-sum", b"1")], [])


@pytest.mark.parametrize("field", [(b"x", b"a\x01"), (b"x(y", b"a"), (b"Upper", b"a")])
def test_a_malformed_message_ends_its_stream_alone(field: tuple[bytes, bytes]) -> None:
    event, sent = trailers_received(field)
    assert isinstance(event, StreamClosed)
    assert sent == [ResetQuicStream, StopSendingQuicStream]


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("size", [10, LONG_SECTION - 300, LONG_SECTION, 60_000])
def test_fields_of_any_length_are_sent(size: int, count: int) -> None:
    value = bytes(range(0x80, 0x100)) * (size // count // 128) + b"a" * (size // count % 128)
    fields = [*HEAD, *((b"x-%d" % i, value) for i in range(count)), (b"x" * 9, b"")]
    receiver = CheckedH3Connection(SERVER, is_client=True)
    [event] = receiver.handle_stream_event(QuicStreamDataReceived(SERVER, 0, sent([fields], b""), end_stream=True))
    assert isinstance(event, HeadersReceived)
    assert event.headers == fields


LONG_FRAME = b"\x01" + encode_uint_var(request_heads.HEAD_LIMIT + 1)
SHORT_FRAME = b"\x01" + encode_uint_var(request_heads.HEAD_LIMIT)


@pytest.mark.parametrize(("data", "is_refused"), [(LONG_FRAME, True), (SHORT_FRAME, False), (LONG_FRAME[:4], False)])
def test_a_long_head_is_refused_before_it_has_come(data: bytes, is_refused: bool) -> None:
    """aioquic would copy all of it for each packet: 5 MiB took 7 s."""
    receiver = CheckedH3Connection(CLIENT, is_client=False)
    receiver.handle_stream_event(QuicStreamDataReceived(CLIENT, 0, data, end_stream=False))
    closed = [command for command in receiver.transmit() if isinstance(command, CloseQuicConnection)]
    assert [command.reason_phrase for command in closed] == ["the head is too long"] * is_refused


@pytest.mark.parametrize(("size", "is_refused"), [(request_heads.HEAD_LIMIT - 10, False), (1 << 17, True)])
def test_no_more_is_kept_of_a_control_frame(size: int, is_refused: bool) -> None:
    receiver = CheckedH3Connection(CLIENT, is_client=False)
    data = b"\0\x04" + encode_uint_var(1 << 30) + bytes(size)  # settings, RFC 9114, section 7.2.4
    receiver.handle_stream_event(QuicStreamDataReceived(CLIENT, 2, data, end_stream=False))
    assert any(isinstance(command, CloseQuicConnection) for command in receiver.transmit()) is is_refused


def test_what_we_send_has_no_table_however_large_a_peer_permits() -> None:
    """Nothing that a peer would have to acknowledge is kept."""
    sender = CheckedH3Connection(CLIENT, is_client=False)
    settings = encode_uint_var(Setting.QPACK_MAX_TABLE_CAPACITY) + encode_uint_var(1 << 30)
    frame = b"\x04" + encode_uint_var(len(settings)) + settings
    sender.handle_stream_event(QuicStreamDataReceived(CLIENT, 2, b"\0" + frame, end_stream=False))
    list(sender.transmit())
    for stream_id in (0, 4):
        sender.send_headers(stream_id, [*HEAD, (b"x-own", b"that later streams would refer to")])
    sent = {it.stream_id for it in sender.transmit() if isinstance(it, SendQuicStreamData) and it.data}
    assert sent == {0, 4}
