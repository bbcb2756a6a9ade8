"""What frames say, and their texts replaced."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.streams.events import binary_texts, rewrite, rewrite_binary, to_document
from proxy_policies.capture.streams.frames import FrameFormat, split

EVENTS = b'\xef\xbb\xbf: hello\n\nevent: add\r\nid: 1\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata: [DONE]\n\nretry: 5\n\n'


def test_events_are_as_a_browser_dispatches_them() -> None:
    said = [{"event": "add", "id": "1", "data": {"a": 1}}, {"data": "[DONE]"}, {"retry": "5"}]
    assert to_document(EVENTS, FrameFormat.EVENTS) == {"events": said}
    assert to_document(EVENTS + b"data: not ended", FrameFormat.EVENTS) == {"events": said}


def test_lines_and_what_is_left_of_one() -> None:
    assert to_document(b'{"a": 1}\n\n"x"\n{"a": 2}', FrameFormat.LINES) == {"lines": [{"a": 1}, '"x"', {"a": 2}]}
    assert to_document(b'{"a": 1}\n{"a"', FrameFormat.LINES, "client") == {"lines": [{"a": 1}]}
    assert to_document(b'{"a": 1}\n{"a"', FrameFormat.LINES, "server") == {"lines": [{"a": 1}], "cut": "server"}


def message(data: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(data).to_bytes(4) + data


def test_messages_compressed_or_not_and_trailers() -> None:
    content = message(b"\x0a\x02hi") + message(gzip.compress(b"\x0a\x02hi"), 1) + message(b'{"b": 1}')
    content += message(b"grpc-status: 0\r\n", 0x80)
    assert to_document(content, FrameFormat.MESSAGES) == {
        "messages": [{"1": "hi"}, {"1": "hi"}, {"b": 1}, {"trailers": "grpc-status: 0\r\n"}]
    }


@pytest.mark.parametrize("framing", FrameFormat)
@given(content=st.binary())
def test_whatever_it_is_nothing_replaced_is_nothing_changed(framing: FrameFormat, content: bytes) -> None:
    assert rewrite(content, framing, lambda text: text) == content
    json.dumps(to_document(content, framing))


TEXTS = st.text(st.sampled_from('ab:{}"\r\n \u00e4'), max_size=12)


@pytest.mark.parametrize("framing", FrameFormat)
@given(content=st.binary(), other=TEXTS)
def test_there_are_as_many_frames_as_before(framing: FrameFormat, content: bytes, other: str) -> None:
    if framing is FrameFormat.MESSAGES:
        content = b"".join(message(content[at : at + 9]) for at in range(0, len(content), 9))
    made = rewrite(content, framing, lambda text: other if len(text) > 2 else text)
    assert len(split(made, framing)[0]) == len(split(content, framing)[0])


def test_data_in_several_lines_is_one_text() -> None:
    content = b'data: {"password":\ndata:  "hunter2"}\nid: 7\n\n'
    seen: list[str] = []

    def replace(text: str) -> str:
        seen.append(text)
        return text.replace("hunter2", "x\ny\nz") if "{" in text else text

    made = rewrite(content, FrameFormat.EVENTS, replace)
    assert seen == ['{"password":\n "hunter2"}', "id: 7"]
    assert made == b'data: {"password":\ndata:  "x\ndata: y\ndata: z"}\nid: 7\n\n'


def test_a_message_that_was_compressed_is_not_any_more_when_it_was_changed() -> None:
    content = message(gzip.compress(b"\x0a\x06secret"), 1)
    assert rewrite(content, FrameFormat.MESSAGES, lambda text: "gone") == message(b"\x0a\x04gone")


def test_only_content_with_lengths_in_it_is_rewritten_as_such() -> None:
    assert rewrite_binary(message(b"\x0a\x02hi"), "application/grpc", str.upper) == message(b"\x0a\x02HI")
    assert rewrite_binary(b"\x0a\x02hi", "application/x-protobuf; x=1", str.upper) == b"\x0a\x02HI"
    assert rewrite_binary(b"hi", "text/event-stream", str.upper) is None
    assert binary_texts(message(b"\x0a\x02hi"), "application/grpc") == ["hi"]
    assert binary_texts(b"hi", "text/plain") is None
