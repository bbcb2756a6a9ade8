"""Playing the server of a WebSocket conversation."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from proxy_policies.capture.model import Entry, Request, Response, Times, WebSocketMessage
from proxy_policies.capture.replay.matching import Matching, parse_matching
from proxy_policies.capture.replay.websocket_replay import NOT_RECORDED, WebSocketReplay

Make = Callable[..., WebSocketReplay]
said = partial(WebSocketMessage, True, True, time=0)
answered = partial(WebSocketMessage, False, True, time=0)


def says(playing: WebSocketReplay) -> list[bytes]:
    """Return what the server says until it is the client's turn, and take it for said."""
    found = []
    while (pending := playing.pending()) is not None:
        found.append(pending[2])
        playing.sent()
    return found


MESSAGES = (answered(b"welcome"), said(b'{"a": 1, "id": 7}'), answered(b"one"), answered(b"two"), said(b"bye"))


@pytest.fixture
def misses() -> list[str]:
    return []


@pytest.fixture
def make(misses: list[str]) -> Make:
    def made(
        *messages: WebSocketMessage, matching: Matching | None = None, any_secret: bool = False, **how: object
    ) -> WebSocketReplay:
        request = Request("GET", "http://chat.test/")
        entry = Entry(request, Response(101), Times(0), messages=messages, **how)  # type: ignore[arg-type]
        return WebSocketReplay(entry, matching or Matching(), lambda message: message, misses.append, any_secret)

    return made


def test_the_order_is_the_recordings(make: Make) -> None:
    playing = make(*MESSAGES)
    assert says(playing) == [b"welcome"]
    assert says(playing) == []
    assert playing.on_message(True, b'{"id": 7, "a": 1}') is None, "JSON is compared by what it says"
    assert says(playing) == [b"one", b"two"]
    assert playing.on_message(True, b"bye") is None
    assert says(playing) == []
    assert playing.close_frame() is None


EXPECTED = """message 2: recorded '{"a": 1, "id": 7}'"""


@dataclass(frozen=True)
class Wrong:
    id: str
    text: bool
    data: bytes
    why: str


WRONG = [
    Wrong("other text", True, b"hello", f"{EXPECTED}, got 'hello'"),
    Wrong("bytes for text", False, b'{"a": 1, "id": 7}', f"{EXPECTED}, got 17 bytes"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.id)
def test_what_was_not_recorded_ends_it(make: Make, misses: list[str], wrong: Wrong) -> None:
    playing = make(*MESSAGES)
    says(playing)
    farewell = playing.on_message(wrong.text, wrong.data)
    assert farewell is not None
    assert farewell[0] == NOT_RECORDED
    assert misses == [wrong.why]
    assert farewell[1] == f"not recorded: {wrong.why}"


def test_more_than_was_recorded_is_a_miss(make: Make, misses: list[str]) -> None:
    playing = make(said(b"a"))
    assert playing.on_message(True, b"a") is None
    assert playing.on_message(True, b"a" * 1000)
    assert misses[0].startswith("message 2: no more was recorded, got 'aaa")
    assert len(misses[0]) < 200


def test_dynamic_values_and_what_is_ignored_do_not_count(make: Make, misses: list[str]) -> None:
    at, then = b'{"at": "2026-11-21T10:00:00Z"}', b'{"at": "2027-01-02T11:22:33Z"}'
    assert make(said(at)).on_message(True, then) is None
    ignoring = parse_matching(["json:$.a"])
    assert make(said(b'{"a": 1}'), matching=ignoring).on_message(True, b'{"a": 2}') is None
    placeholder = b'{"token": "secret_0123456789abcdef"}'
    assert make(said(placeholder), any_secret=True).on_message(True, b'{"token": "whatever"}') is None
    assert not misses


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"closed_by_client": False, "close_code": 4001, "close_reason": "enough"}, (4001, "enough")),
        ({"closed_by_client": False}, (1005, "")),
        ({"closed_by_client": True, "close_code": 1000}, None),
        ({}, None),
    ],
)
def test_the_server_closes_if_it_did(make: Make, how: dict[str, object], expected: tuple[int, str] | None) -> None:
    playing = make(answered(b"a"), **how)
    assert playing.close_frame() is None, "not before all is said"
    assert says(playing) == [b"a"]
    assert playing.close_frame() == expected


@pytest.mark.parametrize(("speed", "gaps"), [(0.0, [0.0, 0.0]), (1.0, [0.5, 3.0]), (2.0, [0.25, 1.5])])
def test_messages_come_as_they_came(speed: float, gaps: list[float]) -> None:
    messages = (WebSocketMessage(False, True, b"a", 10.5), WebSocketMessage(False, True, b"b", 13.5))
    entry = Entry(Request("GET", "http://chat.test/"), Response(101), Times(9, 9, 10, 10), messages=messages)
    playing = WebSocketReplay(entry, Matching(), lambda message: message, print, speed=speed)
    found = []
    while (pending := playing.pending()) is not None:
        found.append(pending[0])
        playing.sent()
    assert found == gaps


def test_without_times_nothing_waits() -> None:
    message = WebSocketMessage(False, True, b"a", 0)
    for start in (0.0, 5.0):
        entry = Entry(Request("GET", "http://chat.test/"), Response(101), Times(start), messages=(message,))
        pending = WebSocketReplay(entry, Matching(), lambda one: one, print, speed=1).pending()
        assert pending == (0.0, True, b"a")
