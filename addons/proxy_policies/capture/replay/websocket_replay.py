"""A recorded WebSocket conversation being played: what the server says when, and whether the client keeps to its part.

The order is the recording's: what the server said after the client's third message is said after it again. The
client's messages must be those recorded, but for dynamic values and for what is ignored, as with requests.
"""

from collections.abc import Callable
from dataclasses import dataclass

from proxy_policies.capture.model import Body, Entry, Request, WebSocketMessage
from proxy_policies.capture.replay.matching import Matching, request_key, stands_for

MISSED = 4599
"""Close code of a connection whose client says what was not recorded: of the private range, as 599 is for requests."""
_SHOWN = 80


@dataclass(slots=True)
class WebSocketReplay:
    """Plays the server's part of an entry. `clean` takes secrets out of a live message, `missed` takes a miss."""

    entry: Entry
    matching: Matching
    clean: Callable[[WebSocketMessage], WebSocketMessage]
    missed: Callable[[str], None]
    any_secret: bool = False
    exact: bool = False
    speed: float = 0.0
    """How fast the server speaks: 1 as recorded, 2 twice as fast, 0 at once."""
    position: int = 0

    def pending(self) -> tuple[float, bool, bytes] | None:
        """Return what the server says next; None when it is the client's turn, or all is said.

        That is in how many seconds, whether it is text, and its octets.
        """
        message = self._next()
        if message is None or message.from_client:
            return None
        return self._gap(message), message.text, message.data

    def sent(self) -> None:
        """Go on: what was pending has been sent."""
        self.position += 1

    def _gap(self, message: WebSocketMessage) -> float:
        """Return the seconds after which a message comes behind the one before it, or behind the handshake."""
        times = self.entry.times
        shaken = times.response_end or times.response_start or times.request_start
        before = self.entry.messages[self.position - 1].time if self.position else shaken
        return max(0.0, message.time - before) / self.speed if self.speed and before else 0.0

    def on_message(self, text: bool, data: bytes) -> tuple[int, str] | None:
        """Take the client's next message; a close code and the reason, when it is not the recorded one."""
        got, recorded = self.clean(WebSocketMessage(True, text, data, 0)), self._next()
        if recorded is not None and self._same(recorded, got):
            self.position += 1
            return None
        wanted = f"recorded {_short(recorded)}" if recorded else "no more was recorded"
        why = f"message {self.position + 1}: {wanted}, got {_short(got)}"
        self.missed(why)
        return MISSED, f"not recorded: {why}"

    def close_frame(self) -> tuple[int, str] | None:
        """Return how the server closes, once all is said and if it was the server that did."""
        if self.position < len(self.entry.messages) or self.entry.closed_by_client is not False:
            return None
        return self.entry.close_code or 1005, self.entry.close_reason

    def on_close(self) -> None:
        """Take note that the connection is over."""

    def _next(self) -> WebSocketMessage | None:
        return self.entry.messages[self.position] if self.position < len(self.entry.messages) else None

    def _same(self, recorded: WebSocketMessage, got: WebSocketMessage) -> bool:
        if recorded.text != got.text:
            return False
        return stands_for(self._canonical(recorded), self._canonical(got), self.exact, self.any_secret)

    def _canonical(self, message: WebSocketMessage) -> str:
        return request_key(Request("", "", body=Body(message.data)), self.matching).canonical()


def _short(message: WebSocketMessage) -> str:
    if not message.text:
        return f"{len(message.data)} octets"
    text = message.data.decode("utf-8", "replace")
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
