"""A document that is nested too deeply to be walked is a text."""

import pytest

from proxy_policies.capture.bodies.parsed_body import BodyKind, parse
from proxy_policies.capture.check.correlate import find_links
from proxy_policies.capture.check.diff import compare
from proxy_policies.capture.json_text import MAX_DEPTH, document_of
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times


def nested(depth: int, value: str = "1") -> str:
    """Return an array within arrays, `depth` in all."""
    return "[" * depth + value + "]" * depth


def test_the_limit_is_of_levels_not_of_values() -> None:
    assert document_of(nested(MAX_DEPTH))
    assert document_of(f"[{','.join([nested(3)] * MAX_DEPTH)}]")
    with pytest.raises(ValueError, match="nested too deeply"):
        document_of(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("mime", ["application/json", "text/event-stream", "application/x-ndjson"])
@pytest.mark.parametrize("depth", [MAX_DEPTH, 600, 3000, 100_000])
def test_a_deeply_nested_response_is_compared_and_its_ids_are_found(depth: int, mime: str) -> None:
    headers: Headers = (("Content-Type", mime),)
    begin = "data: " if mime == "text/event-stream" else ""
    old, new = (
        Response(200, "", headers, Body(f"{begin}{nested(depth, value)}\n\n".encode())) for value in ("12345", "2")
    )
    assert len(compare(old, new)) == 1
    first = Entry(Request("GET", "http://a.test/"), old, Times(1))
    second = Entry(Request("GET", "http://a.test/items/12345"), Response(200), Times(2))
    find_links(range(2), [first, second], within_texts=True)


def test_it_is_a_text() -> None:
    assert parse(Body(nested(600).encode()), ()).kind is BodyKind.TEXT
