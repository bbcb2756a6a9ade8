"""Whatever is wrong with an entry is one line, which names the entry and the field."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.capture_entries import an_entry

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har.entry_reader import read_entry
from proxy_policies.capture.har.entry_writer import write_entry
from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage

FIELDS = (("Content-Type", "text/plain"),)
FULL = Entry(
    Request("POST", "http://a.test/x", FIELDS, Body(b"\xff", wire=b"w", cut="client"), trailers=FIELDS, target="*"),
    Response(200, "OK", FIELDS, Body(b"hi", sha256="0", dropped=1, frame_times=(1.5,)), trailers=FIELDS),
    Times(1.5, 2.5, 3.5, 4.5),
    id="1",
    error="no",
    comment="c",
    close_code=1000,
    close_reason="r",
    closed_by_client=True,
    origin=an_entry().response,
    messages=(WebSocketMessage(True, True, b"a", 1.0), WebSocketMessage(False, False, b"\xff", 2.0)),
    trace=({"why": "x"},),
    connection_info={"server_ip": "10.0.0.1"},
)
WRONG: list[Any] = [
    None,
    True,
    -1,
    1e400,
    float("nan"),
    10**400,
    "",
    "x",
    "\ud800",
    "1e400",
    [],
    [None],
    [[]],
    {},
    {"a": 1},
]


def places(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to every value in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        yield (*path, name)
        yield from places(item, *path, name)


def changed(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    document = holder = copy.deepcopy(document)
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return document


OURS = json.loads(json.dumps(write_entry(FULL)))
THEIRS = {name: value for name, value in OURS.items() if not name.startswith("_")}


@pytest.mark.parametrize("document", [OURS, THEIRS], ids=["ours", "theirs"])
@pytest.mark.parametrize("are_collected", [False, True], ids=["raised", "collected"])
def test_a_wrong_value_anywhere_is_said_in_one_line(document: dict[str, Any], are_collected: bool) -> None:
    for path in places(document):
        for wrong in WRONG:
            problems: list[str] = []
            try:
                read_entry(changed(document, path, wrong), "entry 3", problems=problems if are_collected else None)
            except CaptureError as error:
                problems.append(str(error))
            for problem in problems:
                assert problem.startswith("entry 3, "), (path, wrong)
                assert str(path[0]) in problem
                assert len(problem.splitlines()) == 1


def test_it_is_an_error_of_values() -> None:
    """Options of mitmproxy are refused by ValueErrors, and commands catch no other."""
    assert issubclass(CaptureError, ValueError)
