"""Entries as other tools write them, and what is said of a wrong field."""

import pytest
from tests.support.capture_entries import an_entry

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har.entry_reader import read_entry
from proxy_policies.capture.har.entry_writer import write_entry
from proxy_policies.capture.model import Body


def test_what_firefox_had_in_its_cache_did_not_come_with_a_304() -> None:
    """As Firefox 153 exports a revalidated resource: `HTTP/1`, and the cached text under the 304."""
    fields = {
        "startedDateTime": "2026-11-21T08:37:58.593+00:00",
        "request": {
            "method": "GET",
            "url": "http://a.test/api.json",
            "httpVersion": "HTTP/1",
            "headers": [{"name": "If-Modified-Since", "value": "Sat, 21 Nov 2026 08:37:05 GMT"}],
        },
        "response": {
            "status": 304,
            "statusText": "Not Modified",
            "httpVersion": "HTTP/1",
            "headers": [{"name": "Date", "value": "Sat, 21 Nov 2026 08:37:58 GMT"}],
            "content": {"mimeType": "application/json", "size": 8, "text": '{"a":1}\n'},
        },
        "cache": {"afterRequest": None},
        "timings": {"blocked": -1, "send": 0, "wait": 1, "receive": 0},
        "time": 1,
        "pageref": "page_1",
    }
    entry = read_entry(fields, "entry 1")
    assert entry.response.body == Body()
    assert (entry.request.version, entry.response.version) == ("HTTP/1.1", "HTTP/1.1")


WRONG = {
    "response, text": ({"response": "x"}, "entry 1, response: expected an object, found text"),
    "status": ({"response": {"status": "200"}}, "entry 1, response.status: expected a number, found text"),
    "date": ({"startedDateTime": "yesterday"}, "entry 1, startedDateTime: not a date and time: 'yesterday'"),
    "url": ({"request": {"method": "GET", "url": "/x"}}, "entry 1, request.url: not an absolute URL: '/x'"),
    "header": (
        {"request": {"method": "GET", "url": "http://a/", "headers": [{"name": 3}]}},
        "entry 1, request.headers[0].name: expected text, found a number",
    ),
    "base64": (
        {"response": {"status": 200, "content": {"text": "!", "encoding": "base64"}}},
        "entry 1, response.content.text: not base64",
    ),
}


@pytest.mark.parametrize(("change", "text"), WRONG.values(), ids=WRONG)
def test_a_wrong_field_is_named(change: dict[str, object], text: str) -> None:
    fields = write_entry(an_entry()) | change
    fields.pop("_times", None)
    with pytest.raises(CaptureError) as error:
        read_entry(fields, "entry 1")
    assert str(error.value) == text
