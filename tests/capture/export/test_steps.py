"""A capture as steps of a script."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from proxy_policies.capture.export import steps
from proxy_policies.capture.export.steps import PieceKind, script_of, split_markers
from proxy_policies.capture.model import Body, Entry, Request, Response, Times
from proxy_policies.capture.secrets.placeholders import Placeholders

KEY = Placeholders(b"k" * 32)
JSON = ("Content-Type", "application/json")


def test_steps_are_in_the_order_of_their_time_and_without_conversations() -> None:
    entries = [
        Entry(Request("GET", "http://a.test/2"), Response(200), Times(2.0)),
        Entry(Request("GET", "http://a.test/ws"), Response(101, "", (("Upgrade", "websocket"),)), Times(1.5)),
        Entry(Request("GET", "http://a.test/1"), Response(200), Times(1.0)),
        Entry(Request("GET", "http://b.test/3"), Response(200), Times(3.0)),
        Entry(Request("GET", "http://a.test/4"), Response(0), Times(4.0)),
    ]
    script = script_of(entries)
    assert script.origin == "http://a.test"
    assert [step.path for step in script.steps] == ["/1", "/2", "http://b.test/3"]


def test_a_secret_from_no_response_is_read_from_the_environment() -> None:
    body = f'{{"user": "joe", "new-password": "{KEY.of("hunter2-Q9x")}"}}'
    script = script_of(
        [Entry(Request("POST", "http://a.test/", (JSON,), Body(body.encode())), Response(200), Times(1.0))]
    )
    assert script.secrets == ("NEW_PASSWORD",)
    assert ("NEW_PASSWORD", PieceKind.JSON) in list(split_markers(script.steps[0].text or ""))


@pytest.mark.parametrize(
    ("name", "variable"),
    [("2fa-token", "SECRET_2FA_TOKEN"), ("contraseña-token", "CONTRASE_A_TOKEN"), ("target", "SECRET_TARGET")],
)
def test_a_secret_has_a_name_for_any_language(name: str, variable: str) -> None:
    request = Request("POST", "http://a.test/", (JSON,), Body(f'{{"{name}": "{KEY.of("Q9x-hunter")}"}}'.encode()))
    assert script_of([Entry(request, Response(200), Times(1.0))]).secrets == (variable,)


def test_a_value_is_not_read_from_a_stream() -> None:
    events = Response(200, "", (("Content-Type", "text/event-stream"),), Body(b'data: {"id": "thing-77-x"}\n\n'))
    again = Request("GET", "http://a.test/thing-77-x")
    script = script_of(
        [Entry(Request("GET", "http://a.test/"), events, Times(1.0)), Entry(again, Response(200), Times(2.0))]
    )
    assert [(step.path, step.extracts) for step in script.steps] == [("/", ()), ("/thing-77-x", ())]


def test_nothing_is_no_steps() -> None:
    assert list(script_of([]).steps) == []
    assert list(split_markers("")) == [("", PieceKind.LITERAL)]


def test_the_work_grows_with_the_links_and_not_with_their_square() -> None:
    few, many = (lines_executed(created_and_read(count)) for count in (20, 80))
    assert many < 6 * few


def created_and_read(count: int) -> list[Entry]:
    """Return exchanges that each create an object, and read it by its id."""
    entries = []
    for number in range(count):
        body = Body(f'{{"id": "thing-{number:06}"}}'.encode())
        entries += [
            Entry(Request("POST", "http://a.test/things"), Response(201, "", (JSON,), body), Times(2.0 * number)),
            Entry(Request("GET", f"http://a.test/things/thing-{number:06}"), Response(200), Times(2.0 * number + 1)),
        ]
    return entries


def lines_executed(entries: list[Entry]) -> int:
    """Return how many lines of the module under test are executed, a line in a loop each time."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Callable[..., Any] | None:
        nonlocal count
        count += event == "line"
        return trace if frame.f_code.co_filename == steps.__file__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        script_of(entries)
    finally:
        sys.settrace(before)
    return count
