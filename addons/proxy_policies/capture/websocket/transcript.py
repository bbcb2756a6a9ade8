"""A WebSocket conversation as requests and a response, to be compared and shown like others.

The server's messages become the response's body, a JSON document: JSON messages parsed, other texts as texts, binary
ones as size and hash. Each message of the client becomes the body of a request.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from proxy_policies.capture.binary_summary import summary
from proxy_policies.capture.json_text import document_of
from proxy_policies.capture.model import Body, Entry, Request, Response, WebSocketMessage, header, without

SWITCHING_PROTOCOLS = 101
_HANDSHAKE_FIELDS = ("sec-websocket-accept", "sec-websocket-extensions", "content-type")


@dataclass(frozen=True, slots=True)
class Transcript:
    """A conversation: the handshake's response, the messages, and the close frame."""

    response: Response
    messages: Sequence[WebSocketMessage] = ()
    close_code: int | None = None
    close_reason: str = ""
    closed_by_client: bool | None = None


def is_conversation(response: Response) -> bool:
    """Return whether a response switches to WebSocket (RFC 6455, section 4.2.2)."""
    return response.status == SWITCHING_PROTOCOLS and (header(response.headers, "upgrade") or "").lower() == "websocket"


def has_dropped_message(entry: Entry) -> bool:
    """Return whether a message of a WebSocket connection was not recorded."""
    return any(message.dropped for message in entry.messages)


def comparable_response(entry: Entry) -> Response:
    """Return the recorded response, as it is compared with a live one."""
    if not is_conversation(entry.response):
        return entry.response
    return as_response(
        Transcript(entry.response, entry.messages, entry.close_code, entry.close_reason, entry.closed_by_client)
    )


def as_response(transcript: Transcript) -> Response:
    """Return the response with the server's messages as its body; unchanged if the handshake was refused."""
    if not is_conversation(transcript.response):
        return transcript.response
    document: dict[str, Any] = {
        "messages": [_value(message) for message in transcript.messages if not message.from_client]
    }
    if transcript.closed_by_client is False:
        document["close"] = {"code": transcript.close_code, "reason": transcript.close_reason}
    body = Body(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
    headers = (*without(transcript.response.headers, *_HANDSHAKE_FIELDS), ("Content-Type", "application/json"))
    return replace(transcript.response, headers=headers, body=body)


def as_requests(entry: Entry) -> Iterator[Request]:
    """Yield the request, and one for each message of a WebSocket client."""
    yield entry.request
    yield from (as_request(entry.request, message) for message in entry.messages if message.from_client)


def as_request(request: Request, message: WebSocketMessage) -> Request:
    """Return the request with a message of the client as its body."""
    return replace(request, body=Body(message.data), headers=without(request.headers, "content-type"))


def _value(message: WebSocketMessage) -> Any:
    if not message.text:
        return summary(message.data)
    text = message.data.decode("utf-8", "replace")
    try:
        return document_of(text) if text.lstrip()[:1] in ("{", "[") else text
    except ValueError:
        return text
