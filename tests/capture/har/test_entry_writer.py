"""The HAR form of an entry: writing and reading it again gives the very same value."""

import json

from hypothesis import given
from hypothesis import strategies as st
from tests.support.capture_entries import entries

from proxy_policies.capture.har import line_framing
from proxy_policies.capture.har.entry_reader import read_entry
from proxy_policies.capture.har.entry_writer import write_entry
from proxy_policies.capture.model import Entry


@given(entries)
def test_reading_what_was_written_gives_the_same_entry(entry: Entry) -> None:
    fields = json.loads(json.dumps(write_entry(entry)))
    assert read_entry(fields, "entry 1") == entry


@given(st.lists(entries, max_size=3))
def test_an_entry_survives_its_lines(some: list[Entry]) -> None:
    lines = line_framing.joined([line_framing.entry_lines(write_entry(entry)) for entry in some], first=True)
    found = [json.loads(text) for text, _ in line_framing.entries(lines.splitlines(keepends=True))]
    assert [read_entry(fields, "entry") for fields in found] == some


def test_what_a_foreign_request_says_beyond_the_model_is_written_again() -> None:
    attributes = {"path": "/", "expires": "2027-01-01T00:00:00Z", "httpOnly": True, "sameSite": "Lax"}
    post_data = {"mimeType": "application/json", "text": "{}", "comment": "a"}
    request = {
        **{"method": "POST", "url": "http://shop.test/", "httpVersion": "HTTP/1.1", "queryString": []},
        "headers": [{"name": "Cookie", "value": "a=1; b=2"}],
        "cookies": [{"name": "a", "value": "1", **attributes}, {"name": "b", "value": "2"}],
        "postData": post_data,
    }
    written = write_entry(read_entry({"startedDateTime": "2026-01-01T00:00:00Z", "request": request}, "entry 1"))
    assert written["request"]["cookies"] == request["cookies"]
    assert written["request"]["postData"] == post_data
    assert "requestCookies" not in written
