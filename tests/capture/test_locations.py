"""Where values stand in messages: read, and written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture import locations
from proxy_policies.capture.model import Body, Request

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
HTML = ("Content-Type", "text/html")


def get(url: str, *fields: tuple[str, str], method: str = "GET", body: bytes = b"") -> Request:
    return Request(method, f"http://shop.test{url}", fields, Body(body))


def test_writing_what_is_there_changes_nothing() -> None:
    request = get(
        "/a%20b/17?x=%C3%BC&y=1", ("Cookie", "a=b; c=d"), ("X-T", "v"), FORM, method="POST", body=b"k=v+w&z=1"
    )
    again = locations.set_values(request, read(request))
    assert again == request


NDJSON = ("Content-Type", "application/x-ndjson")
REQUESTS = [
    get("/a%20b/17/?x=%C3%BC&y=1&y=2", ("Cookie", "a=b; c=d"), ("X-T", "v"), ("Authorization", "Bearer x")),
    get("/", FORM, method="POST", body=b"k=v+w&z=1"),
    get("/", JSON, method="POST", body=b'{"id": 17, "at": -1.5, "list": ["", true, null], "a b": {"x": "y"}}'),
    get("/", NDJSON, method="POST", body=b'{"n": "a"}\n{"n": "b"}\n'),
]
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=8)
odd = st.sampled_from(["17", "007", "-5", "²", "٣", "1_000", " 7", "1e3", "9" * 5000, "a/b?c#d&e=f", "%41", "+", "."])


def read(request: Request) -> dict[str, str]:
    return {one.where: one.value for one in locations.values_in_request(request)}


@pytest.mark.parametrize("request_", REQUESTS)
@given(odd | texts)
def test_a_value_that_was_written_is_read_and_nothing_else_changes(request_: Request, value: str) -> None:
    before = read(request_)
    for where in before:
        if not where.startswith("cookie:") or (";" not in value and value == value.strip()):
            assert read(locations.set_values(request_, {where: value})) == before | {where: value}


@pytest.mark.parametrize(("value", "written"), [("18", 18), ("-5", -5), ("007", "007"), ("²", "²"), ("a", "a")])
def test_a_number_stays_one_where_it_is_written_as_one(value: str, written: object) -> None:
    done = locations.set_values(get("/", JSON, body=b'{"id": 17}'), {"json:$.id": value})
    assert json.loads(done.body.content) == {"id": written}
