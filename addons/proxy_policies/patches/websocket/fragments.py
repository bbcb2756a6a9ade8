"""Assembles WebSocket messages from frames, and splits them again (RFC 6455, section 5.4). Pure."""

from __future__ import annotations

import codecs
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MODIFIED = 4000
"""Bytes per frame of a message whose length an addon changed: mitmproxy's Fragmentizer.FRAGMENT_SIZE."""


class Whole(NamedTuple):
    """A whole message, and the lengths of the frames in which it was received; empty if it was not received."""

    content: bytes
    is_text: bool
    lengths: Sequence[int] = ()


class Fragments:
    """Assembles messages from parts of frames, in time linear in their length."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._content = bytearray()
        self._lengths = array("Q")
        self._frame = 0  # start of the current frame in the content

    def add(self, data: str | bytes, frame_finished: bool, message_finished: bool) -> Whole | None:
        """Add a part of a frame; return the message once it is complete."""
        content = data.encode() if isinstance(data, str) else data
        if message_finished and not self._content and not self._lengths:
            return Whole(bytes(content), isinstance(data, str), (len(content),))
        self._content += content
        if frame_finished:
            self._lengths.append(len(self._content) - self._frame)
            self._frame = len(self._content)
        if not message_finished:
            return None
        whole = Whole(bytes(self._content), isinstance(data, str), self._lengths)
        self._begin()
        return whole


def cut(whole: Whole) -> Iterator[tuple[str | bytes, bool]]:
    """Split a message into its original frames if its length is unchanged, else evenly; yield each, and if it is last.

    A character cut in two goes into the frame in which it ends.
    """
    if len(whole.lengths) < 2 and len(whole.content) < MODIFIED:  # most messages
        yield (whole.content.decode("utf-8", "replace") if whole.is_text else whole.content), True
        return
    decoder = codecs.getincrementaldecoder("utf-8")("replace") if whole.is_text else None
    at = 0
    for end, is_last in _ends(len(whole.content), whole.lengths):
        piece, at = whole.content[at:end], end
        yield (decoder.decode(piece, is_last) if decoder else piece), is_last


def _ends(size: int, lengths: Sequence[int]) -> Iterator[tuple[int, bool]]:
    """Return where each frame ends, and whether it is the last."""
    if not lengths or size != sum(lengths):
        yield from ((end, False) for end in range(MODIFIED, size, MODIFIED))
        yield size, True
        return
    at = 0
    for number, length in enumerate(lengths, 1):
        at += length
        yield at, number == len(lengths)
