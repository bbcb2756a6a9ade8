"""A conversation as a response and as requests."""

import json

from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage
from proxy_policies.capture.websocket.transcript import (
    Transcript,
    as_requests,
    as_response,
    comparable_response,
    is_conversation,
)

REQUEST = Request("GET", "http://chat.test/", (("Host", "chat.test"),))
SHAKEN = Response(101, "", (("Upgrade", "WebSocket"), ("Sec-WebSocket-Accept", "x"), ("X-Room", "1")))
MESSAGES = (
    WebSocketMessage(False, True, b'{"a": [1]}', 0),
    WebSocketMessage(True, True, b'{"b": 2}', 1),
    WebSocketMessage(False, True, b"{no json", 2),
    WebSocketMessage(False, False, b"\x00\xff", 3),
)


def test_what_the_server_said_is_the_body() -> None:
    response = as_response(Transcript(SHAKEN, MESSAGES, 4001, "enough", False))
    assert json.loads(response.body.content) == {
        "messages": [{"a": [1]}, "{no json", "2 bytes, sha256 06eb7d6a69ee…"],
        "close": {"code": 4001, "reason": "enough"},
    }
    assert response.headers == (("Upgrade", "WebSocket"), ("X-Room", "1"), ("Content-Type", "application/json"))
    assert "close" not in json.loads(as_response(Transcript(SHAKEN, (), 1000, "", True)).body.content), (
        "the client's own doing"
    )


def test_a_response_that_is_no_conversation_stays() -> None:
    refused = Response(403, "", (), Body(b"no"))
    assert as_response(Transcript(refused, MESSAGES)) is refused
    assert comparable_response(Entry(REQUEST, refused, Times(0))) is refused
    assert not is_conversation(Response(101, "", (("Upgrade", "h2c"),)))


def test_what_the_client_said_are_requests() -> None:
    first, second = as_requests(Entry(REQUEST, SHAKEN, Times(0), messages=MESSAGES))
    assert first is REQUEST
    assert (second.url, second.body.content) == (REQUEST.url, b'{"b": 2}')
