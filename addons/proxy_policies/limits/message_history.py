"""Which messages the flow of a WebSocket connection, or of a TCP or UDP stream, keeps. Pure."""

from __future__ import annotations

from typing import Protocol

OVERHEAD = 256
"""Bytes that a message takes in addition to its content (measured: 220)."""
UNREAD = 256 << 10
"""Bytes kept if nothing reads messages after their hooks, for scripts that look back."""


class KeptMessage(Protocol):
    """A message of mitmproxy's."""

    from_client: bool
    content: bytes


class MessageHistory:
    """The size of the messages that a flow keeps, and of those removed."""

    def __init__(self) -> None:
        self._size = 0  # approximate bytes kept by the flow
        self._much = UNREAD
        self.removed = {True: 0, False: 0}
        """Bytes of removed messages, by whether they were from the client."""

    def add[M: KeptMessage](self, messages: list[M]) -> bool:
        """Count the last message, which is new; return whether there may be too many now."""
        self._size += _size(messages[-1])
        return self._size > self._much

    def shorten[M: KeptMessage](self, messages: list[M], most: int) -> bool:
        """If there are more than `most` bytes, remove the oldest until three quarters of that are left.

        The last one always stays. Return whether any was removed.
        """
        self._size = sum(map(_size, messages))  # addons may have changed any of them
        self._much = min(2 * self._size, most)  # so that recounting takes linear time in total
        if self._size <= most:
            return False
        count = 0
        while self._size > most * 3 // 4 and count < len(messages) - 1:
            message = messages[count]
            self._size -= _size(message)
            self.removed[message.from_client] += len(message.content)
            count += 1
        del messages[:count]
        return count > 0


def _size(message: KeptMessage) -> int:
    return len(message.content) + OVERHEAD
