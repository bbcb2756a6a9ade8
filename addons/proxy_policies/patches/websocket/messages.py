"""Bounds WebSocket messages that are large, or unpack to much, before they are built (RFC 6455, 7692)."""

from __future__ import annotations

import sys
import zlib
from typing import Any

import wsproto.extensions
from wsproto import frame_protocol
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, Frame, MessageDecoder, ParseFailed

from proxy_policies.patch import Companion
from proxy_policies.patches.generators import in_place_of

DEFAULT_LIMIT = 100 << 20
"""Default limit on a message's bytes: that of the widespread library `ws`."""
MIN_PART = 16
"""Least bytes that a part of a message counts as: even an empty frame is kept."""

_most = DEFAULT_LIMIT


def limit(most: int) -> None:
    """Limit the bytes of messages from now on, compressed or not; 0: no limit."""
    global _most
    _most = most or sys.maxsize - 1


class BoundedDeflate(PerMessageDeflate):
    """Compression of messages (RFC 7692) that decompresses no message beyond the bound."""

    _made = 0
    """Bytes of the current message so far."""

    def frame_inbound_payload_data(self, proto: Any, data: bytes) -> bytes | CloseReason:
        """Return a part of a message, decompressed."""
        if not self._inbound_compressed or not self._inbound_is_compressible:
            return super().frame_inbound_payload_data(proto, data)
        room = _most - self._made
        try:
            content: bytes = self._decompressor.decompress(bytes(data), room + 1)  # type: ignore[union-attr]
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._made += len(content)
        return content if len(content) <= room else CloseReason.MESSAGE_TOO_BIG

    def frame_inbound_complete(self, proto: Any, fin: bool) -> bytes | CloseReason | None:
        """Return the rest of a frame at its end."""
        if fin and self._inbound_is_compressible:
            self._made = 0
        return super().frame_inbound_complete(proto, fin)


class BoundedMessages(MessageDecoder):
    """Assembles messages from frames (RFC 6455, section 5.4), none of them beyond the bound."""

    _taken = 0
    """Bytes of the current message so far."""

    def process_frame(self, frame: Frame) -> Frame:
        """Return a part of a message. Raise ParseFailed."""
        self._taken += max(MIN_PART, len(frame.payload))
        if self._taken > _most:
            raise ParseFailed(f"over {_most} bytes", CloseReason.MESSAGE_TOO_BIG)
        part = super().process_frame(frame)
        if part.message_finished:
            self._taken = 0
        return part


COMPANIONS = (
    Companion(
        owner=wsproto.extensions,
        attribute="PerMessageDeflate",
        wrap=in_place_of(BoundedDeflate),
        seen_on="12.2.1 to 12.3.1",
        why="a small message that unpacks to a huge one uses up all memory, and blocks the event loop for seconds",
        test="tests/patches/websocket/test_messages.py::test_no_more_of_a_message_is_unpacked_than_the_bound",
        source_sha256={
            "12.2.1": "1ffd6e177b2069ad465e768fedec247446a8e0badd1457e850efd324388da113",
            "12.3.1": "782c726c5f53112ae4a60b97d5ed9b7e2d02daaeb0fdd948d43200ec93b7a47c",
        },
    ),
    Companion(
        owner=frame_protocol,
        attribute="MessageDecoder",
        wrap=in_place_of(BoundedMessages),
        seen_on="12.2.1 to 12.3.1",
        why="a message that never ends uses up all memory: mitmproxy keeps it until it is complete",
        test="tests/patches/websocket/test_messages.py::test_a_message_that_never_ends_ends_the_connection",
        source_sha256={
            "12.2.1": "7c3aa60fec7bf131de0db9d63aa6e4507dd405700dd6ae718bc1de708d8e4d70",
            "12.3.1": "038365303d22c0a034089960be033e568b807031bde62941d2638e003b99ee57",
        },
    ),
)
