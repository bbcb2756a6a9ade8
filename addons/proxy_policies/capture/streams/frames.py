"""Splitting a stream into frames: server-sent events, JSON lines, and gRPC's length-prefixed messages.

The frames and the incomplete rest, joined, are the content.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache

from proxy_policies.fields import media_type_of


class FrameFormat(Enum):
    """What separates the frames."""

    EVENTS = "events"
    """A blank line (https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.5)."""
    LINES = "lines"
    """A line feed: NDJSON, JSON Lines, JSON text sequences (RFC 7464)."""
    MESSAGES = "messages"
    """Five bytes before each message, a flag and its length: gRPC over HTTP/2, gRPC-Web, Connect's streams."""


_LINES = re.compile(r"(?:application|text)/(?:x-)?(?:ndjson|jsonl|jsonlines|json-lines|json-seq|ldjson|stream\+json)\Z")
_MESSAGES = re.compile(r"application/(?:grpc(?:\+[\w.-]+)?|grpc-web(?:\+[\w.-]+)?|connect\+[\w.-]+)\Z")
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
PREFIX_SIZE = 5
"""Bytes before a gRPC message: a flag, and its length in network byte order."""


def declared_framing(content_type: str) -> FrameFormat | None:
    """Return the framing of a media type; None if it has no frames."""
    mime = media_type_of(content_type)
    if mime == "text/event-stream":
        return FrameFormat.EVENTS
    if _LINES.match(mime):
        return FrameFormat.LINES
    return FrameFormat.MESSAGES if _MESSAGES.match(mime) else None


@lru_cache(256)  # the same few come with every exchange
def may_be_framed(content_type: str) -> bool:
    """Return whether content of a media type may be a stream: JSON may have one document per line."""
    return declared_framing(content_type) is not None or "json" in content_type.lower()


def framing_of(content: bytes, content_type: str) -> FrameFormat | None:
    """Return the framing of content; None if it has no frames.

    JSON with one document per line, as of Docker's and Kubernetes' APIs, has the framing LINES.
    """
    declared = declared_framing(content_type)
    if declared is not None or "json" not in content_type.lower():
        return declared
    first, _, rest = content.lstrip().partition(b"\n")
    return FrameFormat.LINES if rest.strip() and _is_document(first) else None


def _is_document(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def ends(content: bytes, framing: FrameFormat) -> Iterator[int]:
    """Yield the end of each complete frame, as an offset."""
    if framing is FrameFormat.MESSAGES:
        yield from _message_ends(content)
    elif framing is FrameFormat.EVENTS:
        yield from (found.end() for found in _BLANK_LINE.finditer(content))
    else:
        at = 0
        while at := content.find(b"\n", at) + 1:
            yield at


def _message_ends(content: bytes) -> Iterator[int]:
    at = 0
    while at + PREFIX_SIZE <= len(content):
        at += PREFIX_SIZE + int.from_bytes(content[at + 1 : at + PREFIX_SIZE])
        if at > len(content):
            return
        yield at


def split(content: bytes, framing: FrameFormat) -> tuple[list[bytes], bytes]:
    """Return the complete frames, and the rest."""
    frames, start = [], 0
    for end in ends(content, framing):
        frames.append(content[start:end])
        start = end
    return frames, content[start:]


class FrameCounter:
    """Counts the frames with content of a stream as it arrives."""

    def __init__(self, framing: FrameFormat) -> None:
        self._framing = framing
        self._rest = b""
        self.count = 0

    def feed(self, data: bytes) -> int:
        """Add a chunk; return the number of complete frames with content so far."""
        frames, self._rest = split(self._rest + data, self._framing)
        self.count += sum(has_content(frame, self._framing) for frame in frames)
        return self.count


def has_content(frame: bytes, framing: FrameFormat) -> bool:
    """Return whether a frame has content: comments that keep a connection alive, and blank lines, have none."""
    if framing is FrameFormat.MESSAGES:
        return True
    lines = frame.removeprefix(b"\xef\xbb\xbf").splitlines()
    return any(line.strip() and not (framing is FrameFormat.EVENTS and line.startswith(b":")) for line in lines)
