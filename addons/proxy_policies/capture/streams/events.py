"""The frames of a stream as a JSON document to compare, and with their texts replaced.

The document is `{"events": […]}`, `{"lines": […]}` or `{"messages": […]}`, so that locations have the index of a frame:
`json:$.events[3].data.delta`. It does not contain an incomplete last frame, or comments that keep a connection alive.
"""

import re
from collections.abc import Callable
from typing import Any

from proxy_policies import decoding
from proxy_policies.capture.json_text import document_of
from proxy_policies.capture.streams import protobuf
from proxy_policies.capture.streams.frames import PREFIX_SIZE, FrameFormat, declared_framing, has_content, split

type ReplaceText = Callable[[str], str]

COMPRESSED, END_OF_CONNECT, TRAILERS = 0x01, 0x02, 0x80
"""Flags of a message: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and PROTOCOL-WEB.md; Connect's."""
MAX_MESSAGE = 16 << 20
"""Bytes of a compressed message; larger ones are not decompressed. gRPC's own limit is 4 MiB."""
_LINE_END = re.compile(r"(\r\n|\n|\r)")
_PROTOBUF = re.compile(r"application/(?:x-|vnd\.google\.)?protobuf\b", re.IGNORECASE)
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x78": "deflate"}


def to_document(content: bytes, framing: FrameFormat, cut: str = "") -> dict[str, Any]:
    """Return a stream as a document; `cut` names who broke it off, and is in the document unless it was the client."""
    frames, rest = split(content, framing)
    if rest and not cut and framing is not FrameFormat.EVENTS:  # an event that is not ended is not dispatched
        frames.append(rest)
    parse = {FrameFormat.EVENTS: _event, FrameFormat.LINES: _line, FrameFormat.MESSAGES: _message}[framing]
    values = [parse(frame) for frame in frames if has_content(frame, framing)]
    return {framing.value: values} | ({"cut": cut} if cut and cut != "client" else {})


def _event(frame: bytes) -> dict[str, Any]:
    """Return an event's fields, with its data parsed if it is JSON (HTML standard, 9.2.6)."""
    data: list[str] = []
    found: dict[str, Any] = {}
    for line in _LINE_END.split(_text(frame).removeprefix("\ufeff"))[::2]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name:
            found[name] = value
    return found | ({"data": _json_or_text("\n".join(data))} if data else {})


def _line(frame: bytes) -> Any:
    return _json_or_text(_text(frame).strip("\x1e\r\n\t "))


def _message(frame: bytes) -> Any:
    flag, message = frame[0], frame[PREFIX_SIZE:]
    if flag & (TRAILERS | END_OF_CONNECT):
        return {"trailers": _json_or_text(_text(_uncompressed(flag, message)))}
    return _message_value(_uncompressed(flag, message))


def _message_value(message: bytes) -> Any:
    return _json_or_text(_text(message)) if message[:1] == b"{" else protobuf.to_value(message)


def _json_or_text(text: str) -> Any:
    try:
        return document_of(text) if text[:1] in ("{", "[") else text
    except ValueError:
        return text


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _uncompressed(flag: int, message: bytes) -> bytes:
    """Return a message decompressed if its flag says so; unchanged if that fails."""
    coding = next((name for magic, name in _MAGIC.items() if message.startswith(magic)), "")
    try:
        return decoding.decode(message, coding, MAX_MESSAGE) if flag & COMPRESSED and coding else message
    except ValueError:
        return message


def rewrite(content: bytes, framing: FrameFormat, replace: ReplaceText) -> bytes:
    """Return content with the texts of each frame replaced; unchanged frames keep their bytes.

    The number of frames does not change.
    """
    frames, rest = split(content, framing)
    change = {
        FrameFormat.EVENTS: _rewritten_event,
        FrameFormat.LINES: _rewritten_line,
        FrameFormat.MESSAGES: _rewritten_message,
    }
    return b"".join([*(change[framing](frame, replace) for frame in frames), _rewritten_rest(rest, framing, replace)])


def rewrite_binary(content: bytes, content_type: str, replace: ReplaceText) -> bytes | None:
    """Return binary content, gRPC or Protocol Buffers, with its texts replaced; None for any other content."""
    if declared_framing(content_type) is FrameFormat.MESSAGES:
        return rewrite(content, FrameFormat.MESSAGES, replace)
    return protobuf.rewrite(content, replace) if _PROTOBUF.match(content_type.strip()) else None


def binary_texts(content: bytes, content_type: str) -> list[str] | None:
    """Return the texts that `rewrite_binary` would replace; None for any other content."""
    texts: list[str] = []

    def collect(text: str) -> str:
        texts.append(text)
        return text

    return None if rewrite_binary(content, content_type, collect) is None else texts


def _rewritten_rest(rest: bytes, framing: FrameFormat, replace: ReplaceText) -> bytes:
    """Return an incomplete frame with its texts replaced; of a message that would change only the prefix."""
    if not rest:
        return b""
    if framing is not FrameFormat.MESSAGES:
        return _rewritten_event(rest, replace) if framing is FrameFormat.EVENTS else _rewritten_line(rest, replace)
    message = rest[PREFIX_SIZE:]
    return rest if replace(message.decode("latin-1")) == message.decode("latin-1") else rest[:PREFIX_SIZE]


def _rewritten_line(frame: bytes, replace: ReplaceText) -> bytes:
    text = _text(frame)
    line = text.rstrip("\r\n")
    replaced = replace(line)
    return frame if replaced == line else _as_bytes(_one_line(replaced) + text[len(line) :])


def _rewritten_event(frame: bytes, replace: ReplaceText) -> bytes:
    """Replace the data of an event, all lines of it as one text, and each other line."""
    text = _text(frame)
    pieces = _LINE_END.split(text)
    lines, line_ends = pieces[::2], [*pieces[1::2], ""]
    data = dict.fromkeys(number for number, line in enumerate(lines) if line.partition(":")[0] == "data")
    values = [lines[number].partition(":")[2].removeprefix(" ") for number in data]
    whole = "\n".join(values)
    replaced = replace(whole) if whole else whole
    written = {number: _one_line(replace(line)) for number, line in enumerate(lines) if line and number not in data}
    if replaced != whole:
        written |= _data_lines([*data], replaced, next((end for end in line_ends if end), "\n"))
    ended = enumerate(zip(lines, line_ends, strict=True))
    out = "".join(written.get(number, line) + end for number, (line, end) in ended)
    return frame if out == text else _as_bytes(out)


def _data_lines(numbers: list[int], text: str, end: str) -> dict[int, str]:
    """Return the data lines for a text, by their number in the event; the last one has the remaining lines."""
    lines = [f"data: {line}" for line in text.split("\n")]
    lines += [":"] * (len(numbers) - len(lines))  # a comment: a blank line would end the event
    head, tail = lines[: len(numbers) - 1], lines[len(numbers) - 1 :]
    return dict(zip(numbers, [*head, end.join(tail)], strict=True))


def _one_line(text: str) -> str:
    """Return a text without line ends, which would end a frame."""
    return _LINE_END.sub(" ", text)


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _rewritten_message(frame: bytes, replace: ReplaceText) -> bytes:
    """Replace the texts of a message; if it changes, it is no longer compressed, and its flag says so."""
    flag, message = frame[0], _uncompressed(frame[0], frame[PREFIX_SIZE:])
    is_text = flag & (TRAILERS | END_OF_CONNECT) or message[:1] == b"{"
    replaced = _as_bytes(replace(_text(message))) if is_text else protobuf.rewrite(message, replace)
    if replaced == message:
        return frame
    return bytes([flag & ~COMPRESSED]) + len(replaced).to_bytes(4) + replaced
