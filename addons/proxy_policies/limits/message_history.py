"""Which messages the flow of a WebSocket connection, or of a TCP or UDP stream, keeps. Pure."""

from __future__ import annotations

from typing import Protocol

OVERHEAD = 256
"""Octets that a message takes beside its content (measured: 220)."""
UNREAD = 256 << 10
"""Octets that are kept where nothing reads messages once their hooks are over: for scripts that look back."""


class Message(Protocol):
    """A message of mitmproxy's."""

    from_client: bool
    content: bytes


class MessageHistory:
    """What a flow has of its messages, and had."""

    def __init__(self) -> None:
        self._size = 0  # octets that the flow keeps, about
        self._much = UNREAD
        self.removed = {True: 0, False: 0}
        """Octets of messages that it has no more, by whether they came from the client."""

    def add[M: Message](self, messages: list[M]) -> bool:
        """Take note of the last message, which is new; return whether there may be too many by now."""
        self._size += _size(messages[-1])
        return self._size > self._much

    def shorten[M: Message](self, messages: list[M], most: int) -> bool:
        """Where they are more than `most` octets, remove the oldest until there are three quarters of that.

        The last one stays, whatever it is. Return whether there was one to remove.
        """
        self._size = sum(map(_size, messages))  # addons may have changed any of them
        self._much = min(2 * self._size, most)  # to look at all of them again and again takes no more than linear time
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


def _size(message: Message) -> int:
    return len(message.content) + OVERHEAD
