"""Framing and persistence, as tables."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.fields import Fields
from proxy_policies.http1.framing import (
    Framing,
    Head,
    SentBody,
    chunk,
    field_lines,
    frame_request,
    frame_response,
    last_chunk,
    persists,
    with_persistence,
    would_split,
)


@dataclass(frozen=True)
class Response:
    id: str
    expected: Framing
    fields: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    status: int = 200
    version: str = "HTTP/1.1"
    length: int | None = None
    content_length: str | None = None
    transfer_encoding: str | None = None

    def frame(self) -> Head:
        return frame_response(
            Fields.of(*self.fields),
            method=self.method,
            status=self.status,
            version=self.version,
            length=self.length,
        )


CHUNKED = (("Transfer-Encoding", "chunked"),)
SIZED = (("Content-Length", "5"),)
OLD = Response("", Framing.CLOSE, version="HTTP/1.0")
RESPONSES = [
    Response("length known", Framing.LENGTH, length=5, content_length="5"),
    Response("length told", Framing.LENGTH, SIZED, content_length="5"),
    Response("length told wrong", Framing.LENGTH, SIZED, length=7, content_length="7"),
    Response("unknown", Framing.CHUNKED, transfer_encoding="chunked"),
    Response("chunked", Framing.CHUNKED, CHUNKED, transfer_encoding="chunked"),
    Response("chunked, known", Framing.CHUNKED, CHUNKED, length=5, transfer_encoding="chunked"),
    Response("both", Framing.CHUNKED, CHUNKED + SIZED, transfer_encoding="chunked"),
    Response("gzip alone", Framing.CLOSE, (("Transfer-Encoding", "gzip"),), transfer_encoding="gzip"),
    replace(OLD, id="1.0 unknown"),
    replace(OLD, id="1.0 chunked", fields=CHUNKED),
    replace(OLD, id="1.0 both", fields=CHUNKED + SIZED),
    replace(OLD, id="1.0 known", fields=CHUNKED, length=5, expected=Framing.LENGTH, content_length="5"),
    replace(OLD, id="1.0 told", fields=SIZED, expected=Framing.LENGTH, content_length="5"),
    Response("HEAD", Framing.NONE, SIZED, "HEAD", content_length="5"),
    Response("HEAD, body set by an addon", Framing.NONE, SIZED, "HEAD", length=9, content_length="5"),
    Response("204", Framing.NONE, SIZED, status=204),
    Response("304", Framing.NONE, SIZED, status=304, content_length="5"),
    Response("101", Framing.NONE, CHUNKED, status=101),
    Response("CONNECT", Framing.NONE, SIZED, "CONNECT"),
    Response("CONNECT refused", Framing.LENGTH, (), "CONNECT", 502, length=5, content_length="5"),
]


@pytest.mark.parametrize("case", RESPONSES, ids=lambda case: case.id)
def test_response_framing(case: Response) -> None:
    head = case.frame()
    assert head.framing is case.expected
    assert head.fields.get("content-length") == case.content_length
    assert head.fields.get("transfer-encoding") == case.transfer_encoding


FIELDS = st.lists(st.sampled_from([*SIZED, *CHUNKED, ("Transfer-Encoding", "gzip"), ("X-Y", "z")]), max_size=4)


@given(
    FIELDS,
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.sampled_from([200, 204, 304, 404]),
    st.sampled_from(["HTTP/1.0", "HTTP/1.1"]),
    st.one_of(st.none(), st.integers(0, 9)),
)
def test_a_response_never_says_two_framings_nor_chunked_to_http_1_0(
    lines: list[tuple[str, str]], method: str, status: int, version: str, length: int | None
) -> None:
    head = frame_response(Fields.of(*lines), method=method, status=status, version=version, length=length)
    names = [name.lower() for name, _ in head.fields]
    if head.framing is not Framing.NONE:
        assert not {"content-length", "transfer-encoding"} <= set(names)
    if version == "HTTP/1.0":
        assert head.framing is not Framing.CHUNKED
        assert "transfer-encoding" not in names
    assert ("X-Y", "z") not in lines or "x-y" in names
    if head.framing is Framing.LENGTH:
        assert "content-length" in names


@pytest.mark.parametrize(
    ("fields", "length", "is_empty", "framing", "content_length"),
    [
        pytest.param((), None, True, Framing.NONE, None, id="GET"),
        pytest.param((("Content-Length", "0"),), 0, True, Framing.NONE, "0", id="empty POST"),
        pytest.param(SIZED, 0, True, Framing.NONE, "0", id="emptied by an addon"),
        pytest.param(CHUNKED, 0, True, Framing.NONE, None, id="empty and chunked"),
        pytest.param(SIZED, None, False, Framing.LENGTH, "5", id="streamed"),
        pytest.param(SIZED, 7, False, Framing.LENGTH, "7", id="changed by an addon"),
        pytest.param((), 7, False, Framing.LENGTH, "7", id="length lost"),
        pytest.param((), None, False, Framing.CHUNKED, None, id="length unknown"),
        pytest.param(CHUNKED, None, False, Framing.CHUNKED, None, id="chunked"),
    ],
)
def test_request_framing(
    fields: tuple[tuple[str, str], ...],
    length: int | None,
    is_empty: bool,
    framing: Framing,
    content_length: str | None,
) -> None:
    head = frame_request(Fields.of(*fields), length=length, is_empty=is_empty)
    assert head.framing is framing
    assert head.fields.get("content-length") == content_length
    assert head.fields.get("transfer-encoding") == ("chunked" if framing is Framing.CHUNKED else None)


@pytest.mark.parametrize(
    ("version", "connection", "expected"),
    [
        ("HTTP/1.1", None, True),
        ("HTTP/1.1", "close", False),
        ("HTTP/1.1", "CLOSE", False),
        ("HTTP/1.1", "keep-alive, Close", False),
        ("HTTP/1.1", "Upgrade", True),
        ("HTTP/1.0", None, False),
        ("HTTP/1.0", "Keep-Alive", True),
        ("HTTP/1.0", "keep-alive, close", False),
        ("HTTP/2.0", None, True),
    ],
)
def test_persistence(version: str, connection: str | None, expected: bool) -> None:
    assert persists(version, Fields.of(*([("Connection", connection)] if connection else []))) is expected


@pytest.mark.parametrize(
    ("connection", "version", "closes", "expected"),
    [
        (None, "HTTP/1.1", False, None),
        (None, "HTTP/1.1", True, "close"),
        (None, "HTTP/1.0", False, "keep-alive"),
        ("close", "HTTP/1.1", False, None),
        ("Upgrade", "HTTP/1.1", False, "Upgrade"),
        ("Upgrade, Keep-Alive", "HTTP/1.1", True, "Upgrade, close"),
        ("Keep-Alive", "HTTP/1.0", False, "keep-alive"),
    ],
)
def test_what_connection_says(connection: str | None, version: str, closes: bool, expected: str | None) -> None:
    fields = Fields.of(*([("Connection", connection)] if connection else []))
    assert with_persistence(fields, version, closes).get("connection") == expected


def test_field_lines() -> None:
    assert field_lines(()) == b""
    assert field_lines(((b"A", b"1 %s"), (b"B", b""))) == b"A: 1 %s\r\nB: \r\n"


def test_chunks() -> None:
    assert chunk(b"") == b""
    assert chunk(b"a" * 20) == b"14\r\n" + b"a" * 20 + b"\r\n"
    assert last_chunk(Fields()) == b"0\r\n\r\n"
    assert last_chunk(Fields.of(("X-Sum", "1"))) == b"0\r\nX-Sum: 1\r\n\r\n"


PIECES = st.lists(st.binary(max_size=8), max_size=5)


@given(PIECES, st.sampled_from(Framing))
def test_a_body_in_pieces_is_the_body(pieces: list[bytes], framing: Framing) -> None:
    body, whole = SentBody(framing, Fields()), b"".join(pieces)
    sent = b"".join(map(body.piece, pieces)) + body.end(Fields())
    if framing is Framing.CHUNKED:
        assert sent == b"".join(map(chunk, pieces)) + last_chunk(Fields())
    else:
        assert sent == (b"" if framing is Framing.NONE else whole)
    assert (body.size, body.missing) == (0 if framing is Framing.NONE else len(whole), None)


@given(PIECES, st.integers(0, 20))
def test_nothing_is_sent_beyond_the_declared_length(pieces: list[bytes], length: int) -> None:
    body, whole = SentBody(Framing.LENGTH, Fields.of(("Content-Length", str(length)))), b"".join(pieces)
    assert b"".join(map(body.piece, pieces)) == whole[:length]
    assert (body.size, body.missing) == (len(whole[:length]), max(0, length - len(whole)))


@given(st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=5)), max_size=4))
def test_what_would_split(fields: list[tuple[bytes, bytes]]) -> None:
    written = b"".join(name + value for name, value in fields)
    assert would_split(fields) == any(byte in written for byte in b"\r\n\0")
