"""An entry that is made of its parts is the one that is written as a whole."""

from dataclasses import replace

import pytest
from tests.support.capture_entries import an_entry

from proxy_policies.capture.har import entry_forms, line_framing
from proxy_policies.capture.har.entry_writer import write_entry
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times

FIELDS = (("Content-Type", "text/plain"), ("X-Share", "100%b"))
REQUEST = Request("POST", "http://shop.test/a%20b?c=%2e&d", FIELDS, Body(b"50%"))
RESPONSE = Response(200, "100% OK", FIELDS, Body("\u2028".encode()))
TIMES = Times(1.7e9 + 0.0000004, None, 1.7e9 + 2)
INFO = {"client": {"address": "127.0.0.1:1"}, "server_ip": "127.0.0.1"}
ENTRIES = {
    "all": Entry(REQUEST, RESPONSE, TIMES, "%one", RESPONSE, comment="%b", connection_info=INFO),
    "no connections": replace(an_entry(), connection_info={}),
    "no server": replace(an_entry(), connection_info={"client": {}}),
}


def with_fields(form: bytes, headers: Headers) -> bytes:
    return line_framing.with_fields(form, [line_framing.pair_line(*line) for line in headers])


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_the_parts_together_are_the_entry(entry: Entry) -> None:
    request, response = entry.request, entry.response
    has_body = bool(request.body.content)
    size = b"%d" % len(request.body.content)
    sent = with_fields(entry_forms.request_form(request, has_body), request.headers)
    head = with_fields(entry_forms.response_form(response), response.headers)
    content = entry_forms.response_content(response.body, response.headers[0][1])
    parts = [
        sent % ((size, entry_forms.request_content(request.body, "text/plain")) if has_body else (size,)),
        head % (content, b"%d" % len(response.body.content)),
        *([b'"127.0.0.1"'] if "server_ip" in entry.connection_info else ()),
        *([head % (entry_forms.SAME_CONTENT, b"0")] if entry.origin else ()),
        *([entry_forms.connections(entry)] if entry.connection_info else ()),
    ]
    pieces = entry_forms.split(entry_forms.entry_form(entry) % tuple(parts))
    completed = entry_forms.complete(pieces, request.url, entry.times, entry.id)
    assert completed == line_framing.entry_lines(write_entry(entry))
