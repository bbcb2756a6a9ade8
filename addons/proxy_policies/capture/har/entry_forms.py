"""The JSON of an entry in parts, most of which are the same in many entries.

A part is a format string for other parts. What differs between entries that are else the same (URL, times, id) is left
out until all parts are filled in.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson

from proxy_policies.capture.har import entry_writer
from proxy_policies.capture.har.body import write_body
from proxy_policies.capture.har.line_framing import (
    FIELDS,
    GAP,
    MAX_KNOWN_LINE,
    PART,
    form,
    laid_out,
    pair_lines,
    text_line,
)
from proxy_policies.capture.model import HEADS, Body, Entry, Request, Response, Times, query_of

SAME_CONTENT = laid_out({"_same": True}, depth=2)
"""The content of an origin's response whose body the client received unchanged."""
_LEFT_OUT: dict[str, Any] = {
    **dict.fromkeys(("startedDateTime", "time", "_id"), GAP),
    **dict.fromkeys(("request", "response", "serverIPAddress", "_origin", "_facts"), PART),
    "timings": dict.fromkeys(("send", "wait", "receive"), GAP),
    "_times": [GAP] * 4,
}


def entry_form(entry: Entry) -> bytes:
    """Return the form of an entry, for a request and a response, and all that it has of the following.

    That is the address of the server, the origin's response, and the connections. This and the other functions raise
    TypeError for values that only `json` can write.
    """
    fields = entry_writer.write_entry(entry)
    return form(fields | {name: gap for name, gap in _LEFT_OUT.items() if name in fields})


def request_form(request: Request, has_body: bool) -> bytes:
    """Return the form of a request, for the size of its body, and for its content if it has one."""
    fields = entry_writer.request_object(request) | {
        "url": GAP,
        "headers": FIELDS,
        "queryString": GAP,
        "bodySize": PART,
    }
    return form(fields | {"postData": PART} if has_body else fields, depth=1)


def response_form(response: Response) -> bytes:
    """Return the form of a response, for its content and its size."""
    fields = entry_writer.response_object(response) | {"headers": FIELDS, "content": PART, "bodySize": PART}
    return form(fields, depth=1)


def request_content(body: Body, media_type: str) -> bytes:
    """Return the content of a request."""
    return laid_out(write_body(body, media_type, "_data"), depth=2)


def response_content(body: Body, media_type: str) -> bytes:
    """Return the content of a response."""
    return laid_out({"size": len(body.content), **write_body(body, media_type, "encoding")}, depth=2)


def connections(entry: Entry) -> bytes:
    """Return what an entry says about its connections."""
    return laid_out(dict(entry.connection_info), depth=1)


def split(filled: bytes) -> Sequence[bytes]:
    """Return a form of an entry that is filled in as pieces; every second one is empty, for what is left out."""
    return filled.replace(b"\0", b"\0\0").split(b"\0")


def complete(pieces: Sequence[bytes], url: str, times: Times, entry_id: str) -> bytes:
    """Return an entry with what was left out."""
    spans, moments = entry_writer.timings(times), entry_writer.moments(times)
    numbers = orjson.dumps([entry_writer.milliseconds(times.seconds), *spans.values(), *moments])[1:-1].split(b",")
    started = f'"{entry_writer.date_time(times.request_start)}"'.encode()
    all_pieces, query = list(pieces), _query_lines(query_of(url))
    all_pieces[1::2] = started, numbers[0], text_line(url), query, *numbers[1:4], text_line(entry_id), *numbers[4:]
    return b"".join(all_pieces)


def _query_lines(query: str) -> bytes:
    return _known_query(query) if len(query) <= MAX_KNOWN_LINE else _read_query(query)


def _read_query(query: str) -> bytes:
    return pair_lines(entry_writer.query_pairs(query))


_known_query = lru_cache(HEADS)(_read_query)
