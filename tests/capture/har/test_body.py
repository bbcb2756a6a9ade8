"""Bodies in a HAR file are read as they were written, or as somebody edited them."""

from proxy_policies.capture.har.entry_reader import read_entry
from proxy_policies.capture.har.entry_writer import write_entry
from proxy_policies.capture.model import Body, Entry, Request, Response, Times


def test_a_hand_edited_text_wins_over_the_recorded_octets() -> None:
    entry = Entry(Request("GET", "http://a.test/"), Response(200, body=Body(b"old", wire=b"packed")), Times(1.7e9))
    fields = write_entry(entry)
    fields["response"]["content"]["text"] = "new"
    assert read_entry(fields, "entry 1").response.body == Body(b"new")
