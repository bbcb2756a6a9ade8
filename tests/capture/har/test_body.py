"""Bodies in a HAR file are read as they were written or edited."""

from typing import Any

import pytest

from proxy_policies.capture.har.entry_reader import read_entry
from proxy_policies.capture.har.entry_writer import write_entry
from proxy_policies.capture.model import Body, Entry, Request, Response, Times


def test_a_hand_edited_text_wins_over_the_recorded_bytes() -> None:
    entry = Entry(Request("GET", "http://a.test/"), Response(200, body=Body(b"old", wire=b"packed")), Times(1.7e9))
    fields = write_entry(entry)
    fields["response"]["content"]["text"] = "new"
    assert read_entry(fields, "entry 1").response.body == Body(b"new")


MISSING = [{"size": 7}, {"size": 7, "encoding": "base64"}]
EMPTY = [{"size": 0}, {"size": -1}, {"size": None}, {"size": "7"}, {}, {"size": 7, "text": ""}]


def read(content: dict[str, Any], status: int = 200, method: str = "GET") -> Body:
    fields = {
        "startedDateTime": "2026-11-28T10:00:00Z",
        "request": {"method": method, "url": "http://a.test/"},
        "response": {"status": status, "content": content},
    }
    return read_entry(fields, "entry 1", problems=[]).response.body


@pytest.mark.parametrize("content", MISSING)
def test_a_body_that_an_export_leaves_out_is_not_an_empty_one(content: dict[str, Any]) -> None:
    assert read(content) == Body(dropped=7)
    assert read(content, status=304) == read(content, method="HEAD") == Body()


@pytest.mark.parametrize("content", EMPTY)
def test_an_empty_body_is_one(content: dict[str, Any]) -> None:
    assert read(content) == Body()
