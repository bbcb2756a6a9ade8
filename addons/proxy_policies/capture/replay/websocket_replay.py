"""Replaying the server of a recorded WebSocket conversation.

Messages are sent in the recorded order: one that the server sent after the client's third message is sent after it
again. The client's messages must match the recorded ones, by the rules for requests.
"""

from collections.abc import Callable
from dataclasses import dataclass

from proxy_policies.capture.model import Body, Entry, Request, WebSocketMessage
from proxy_policies.capture.replay.matching import Matching, matches_recorded, request_key
from proxy_policies.log_lines import quantity

NOT_RECORDED = 4599
"""Close code after a message that was not recorded, as status 599 for requests; private (RFC 6455 section 7.4.2)."""
_SHOWN = 80


@dataclass(slots=True)
class WebSocketReplay:
    """Sends the server's messages of an entry. `redact` redacts a live message; `on_miss` is called with the reason."""

    entry: Entry
    matching: Matching
    redact: Callable[[WebSocketMessage], WebSocketMessage]
    on_miss: Callable[[str], None]
    any_secret: bool = False
    exact: bool = False
    speed: float = 0.0
    """Speed of the server's messages: 1 as recorded, 2 twice as fast, 0 without pauses."""
    position: int = 0

    def pending(self) -> tuple[float, bool, bytes] | None:
        """Return the server's next message: its delay in seconds, whether it is text, and its content.

        None if the client's message is next, or there is none.
        """
        message = self._next()
        if message is None or message.from_client:
            return None
        return self._delay(message), message.text, message.data

    def sent(self) -> None:
        """Advance: the pending message was sent."""
        self.position += 1

    def _delay(self, message: WebSocketMessage) -> float:
        """Return the seconds between the previous message, or the handshake, and this one."""
        times = self.entry.times
        handshake = times.response_end or times.response_start or times.request_start
        before = self.entry.messages[self.position - 1].time if self.position else handshake
        return max(0.0, message.time - before) / self.speed if self.speed and before else 0.0

    def on_message(self, text: bool, data: bytes) -> tuple[int, str] | None:
        """Compare the client's next message; return close code and reason if it is not the recorded one."""
        got, recorded = self.redact(WebSocketMessage(True, text, data, 0)), self._next()
        if recorded is not None and self._matches(recorded, got):
            self.position += 1
            return None
        expected = f"recorded {_short(recorded)}" if recorded else "no more was recorded"
        reason = f"message {self.position + 1}: {expected}, got {_short(got)}"
        self.on_miss(reason)
        return NOT_RECORDED, f"not recorded: {reason}"

    def close_frame(self) -> tuple[int, str] | None:
        """Return close code and reason once all messages are sent, if the server closed the connection; else None."""
        if self.position < len(self.entry.messages) or self.entry.closed_by_client is not False:
            return None
        return self.entry.close_code or 1005, self.entry.close_reason

    def on_close(self) -> None:
        """Do nothing: the connection was closed."""

    def _next(self) -> WebSocketMessage | None:
        return self.entry.messages[self.position] if self.position < len(self.entry.messages) else None

    def _matches(self, recorded: WebSocketMessage, got: WebSocketMessage) -> bool:
        if recorded.text != got.text:
            return False
        return matches_recorded(self._canonical(recorded), self._canonical(got), self.exact, self.any_secret)

    def _canonical(self, message: WebSocketMessage) -> str:
        return request_key(Request("", "", body=Body(message.data)), self.matching).canonical()


def _short(message: WebSocketMessage) -> str:
    if not message.text:
        return quantity(len(message.data), "byte")
    text = message.data.decode("utf-8", "replace")
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
