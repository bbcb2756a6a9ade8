"""When frames came, whatever codings the bytes have."""

import pytest

from proxy_policies.capture.model import Body, Entry, Request, Response, Times
from proxy_policies.capture.streams import arrivals
from proxy_policies.encoding.codecs import CODECS, encoder

FRAMES = [b"data: one\n\n", b"data: two\n\n", b"data: three\n\n"]
CONTENT = b"".join(FRAMES)


def test_a_frame_came_with_its_last_octet() -> None:
    marks = [(5, 1.0), (11, 2.0), (30, 3.0), (len(CONTENT), 4.0)]
    assert arrivals.frame_times(CONTENT, "text/event-stream", marks) == (2.0, 3.0, 4.0)
    assert arrivals.frame_times(CONTENT, "text/event-stream", marks[:1]) == (1.0, 1.0, 1.0), "the last that is known"
    assert arrivals.frame_times(CONTENT, "text/plain", marks) == ()
    assert arrivals.frame_times(CONTENT, "text/event-stream", []) == ()


@pytest.mark.parametrize("coding", CODECS)
def test_codings_are_undone(coding: str) -> None:
    made, wire, marks = encoder(coding), b"", []
    for number, frame in enumerate(FRAMES):
        wire += made.feed(frame) + made.flush()
        marks.append((len(wire), float(number)))
    wire += made.finish()
    body = Body(CONTENT, wire=wire)
    headers = (("Content-Type", "text/event-stream"), ("Content-Encoding", coding))
    entry = Entry(Request("GET", "http://a.test/"), Response(200, "", headers, body), Times(0))
    timed = arrivals.with_frame_times(entry, {"response": marks})
    assert timed.response.body.frame_times == (0.0, 1.0, 2.0)
    assert timed == entry, "what came is the same whenever it came"


@pytest.mark.parametrize("coding", CODECS)
def test_what_there_is_of_a_body_that_was_cut_is_read(coding: str) -> None:
    made = encoder(coding)
    wire = made.feed(CONTENT) + made.flush()
    assert arrivals.decode_partly(wire, coding, 1000) == CONTENT
    assert arrivals.decode_partly(wire, coding, 10) == CONTENT[:10]


@pytest.mark.parametrize(("wire", "coding"), [(b"x", "compress"), (b"plain text", "gzip"), (b"plain text", "zstd")])
def test_what_is_not_of_the_coding_is_refused(wire: bytes, coding: str) -> None:
    with pytest.raises(ValueError, match=f"^(unknown coding in '|no ){coding}"):
        arrivals.decode_partly(wire, coding, 10)


def test_pieces_are_the_content() -> None:
    assert list(arrivals.pieces(CONTENT + b"data", "text/event-stream")) == [*FRAMES, b"data"]
    assert list(arrivals.pieces(b"page", "text/html")) == [b"page"]
