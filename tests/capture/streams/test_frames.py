"""Where frames end, however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.streams.frames import FrameCounter, FrameFormat, declared_framing, framing_of, split

FRAMES = {
    FrameFormat.EVENTS: [b"data: a\n\n", b": alive\n\n", b"id: 1\r\ndata: b\r\n\r\n", b"data: c\r\r", b"data: d\r\n\n"],
    FrameFormat.LINES: [b'{"a": 1}\n', b"\n", b"[]\r\n", b'\x1e{"b": 2}\n'],
    FrameFormat.MESSAGES: [b"\0\0\0\0\0", b"\0\0\0\0\x03abc", b"\x01\0\0\x01\0" + b"x" * 256],
}


@pytest.mark.parametrize("framing", FrameFormat)
@given(data=st.data())
def test_frames_joined_are_the_content(framing: FrameFormat, data: st.DataObject) -> None:
    content = data.draw(st.one_of(st.binary(), st.lists(st.sampled_from(FRAMES[framing])).map(b"".join)))
    frames, rest = split(content, framing)
    assert b"".join(frames) + rest == content


@pytest.mark.parametrize("framing", FrameFormat)
@given(data=st.data())
def test_whole_frames_are_found(framing: FrameFormat, data: st.DataObject) -> None:
    frames = data.draw(st.lists(st.sampled_from(FRAMES[framing])))
    assert split(b"".join(frames), framing) == (frames, b"")


@pytest.mark.parametrize("framing", FrameFormat)
@given(data=st.data())
def test_a_counter_does_not_care_how_bytes_come(framing: FrameFormat, data: st.DataObject) -> None:
    content = b"".join(data.draw(st.lists(st.sampled_from(FRAMES[framing]), max_size=6)))
    whole, by_octet = FrameCounter(framing), FrameCounter(framing)
    whole.feed(content)
    for at in range(len(content)):
        by_octet.feed(content[at : at + 1])
    assert by_octet.count == whole.count


TYPES = {
    "text/event-stream; charset=utf-8": FrameFormat.EVENTS,
    "application/x-ndjson": FrameFormat.LINES,
    "application/jsonl": FrameFormat.LINES,
    "application/stream+json": FrameFormat.LINES,
    "application/json-seq": FrameFormat.LINES,
    "application/grpc": FrameFormat.MESSAGES,
    "application/grpc+proto": FrameFormat.MESSAGES,
    "Application/gRPC-Web+proto": FrameFormat.MESSAGES,
    "application/connect+json": FrameFormat.MESSAGES,
    "application/grpc-web-text": None,
    "application/json": None,
    "text/plain": None,
    "": None,
}


@pytest.mark.parametrize(("content_type", "framing"), TYPES.items())
def test_media_types(content_type: str, framing: FrameFormat | None) -> None:
    assert declared_framing(content_type) is framing


JSON = {
    b'{"a": 1}\n{"a": 2}\n': FrameFormat.LINES,
    b'\n{"a": 1}\r\n{"a"': FrameFormat.LINES,
    b'{"a": 1}\n': None,
    b'{\n "a": 1\n}\n': None,
    b"[\n1,\n2]": None,
    b"1\n2\n": None,
    b"": None,
}


@pytest.mark.parametrize(("content", "framing"), JSON.items())
def test_json_of_one_document_to_a_line_is_in_lines(content: bytes, framing: FrameFormat | None) -> None:
    assert framing_of(content, "application/json") is framing
