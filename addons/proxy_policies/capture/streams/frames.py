"""Where the frames of a stream end: server-sent events, JSON lines, and gRPC's length-prefixed messages.

Whatever is given comes back: the frames, joined, are the content, an incomplete one at its end included.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache


class Framing(Enum):
    """What parts one frame from the next."""

    EVENTS = "events"
    """A blank line (https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.5)."""
    LINES = "lines"
    """A line feed: NDJSON, JSON Lines, JSON text sequences (RFC 7464)."""
    MESSAGES = "messages"
    """Five octets before each message, a flag and its length: gRPC over HTTP/2, gRPC-Web, Connect's streams."""


_LINES = re.compile(r"(?:application|text)/(?:x-)?(?:ndjson|jsonl|jsonlines|json-lines|json-seq|ldjson|stream\+json)\Z")
_MESSAGES = re.compile(r"application/(?:grpc(?:\+[\w.-]+)?|grpc-web(?:\+[\w.-]+)?|connect\+[\w.-]+)\Z")
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
PREFIX = 5
"""Octets before a gRPC message: a flag, and its length in network order."""


def declared_framing(content_type: str) -> Framing | None:
    """Return how a media type says that its frames are parted; None when it says nothing of frames."""
    mime = content_type.partition(";")[0].strip().lower()
    if mime == "text/event-stream":
        return Framing.EVENTS
    if _LINES.match(mime):
        return Framing.LINES
    return Framing.MESSAGES if _MESSAGES.match(mime) else None


@lru_cache(256)  # the same few come with every exchange
def may_be_framed(content_type: str) -> bool:
    """Return whether content of a media type may turn out to be a stream: JSON may be one document to a line."""
    return declared_framing(content_type) is not None or "json" in content_type.lower()


def framing_of(content: bytes, content_type: str) -> Framing | None:
    """Return how content is parted into frames; None when it is one whole.

    What is called JSON and is one document to a line, as Docker's and Kubernetes' APIs send it, is in lines.
    """
    declared = declared_framing(content_type)
    if declared is not None or "json" not in content_type.lower():
        return declared
    first, _, rest = content.lstrip().partition(b"\n")
    return Framing.LINES if rest.strip() and _is_document(first) else None


def _is_document(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def ends(content: bytes, framing: Framing) -> Iterator[int]:
    """Yield the offset after each whole frame."""
    if framing is Framing.MESSAGES:
        yield from _message_ends(content)
    elif framing is Framing.EVENTS:
        yield from (found.end() for found in _BLANK_LINE.finditer(content))
    else:
        at = 0
        while at := content.find(b"\n", at) + 1:
            yield at


def _message_ends(content: bytes) -> Iterator[int]:
    at = 0
    while at + PREFIX <= len(content):
        at += PREFIX + int.from_bytes(content[at + 1 : at + PREFIX])
        if at > len(content):
            return
        yield at


def split(content: bytes, framing: Framing) -> tuple[list[bytes], bytes]:
    """Return the whole frames, and what there is of an incomplete one at the end."""
    frames, start = [], 0
    for end in ends(content, framing):
        frames.append(content[start:end])
        start = end
    return frames, content[start:]


class FrameCounter:
    """Counts the frames of a stream that say something, as it comes."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._rest = b""
        self.count = 0

    def feed(self, data: bytes) -> int:
        """Take a chunk; return how many whole ones there are now."""
        frames, self._rest = split(self._rest + data, self._framing)
        self.count += sum(says_something(frame, self._framing) for frame in frames)
        return self.count


def says_something(frame: bytes, framing: Framing) -> bool:
    """Return whether a frame has a meaning: comments that keep a connection alive, and blank lines, have none."""
    if framing is Framing.MESSAGES:
        return True
    lines = frame.removeprefix(b"\xef\xbb\xbf").splitlines()
    return any(line.strip() and not (framing is Framing.EVENTS and line.startswith(b":")) for line in lines)
