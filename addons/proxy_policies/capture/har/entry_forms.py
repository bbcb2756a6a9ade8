"""The JSON of an entry as forms: format strings to be filled in with what differs between exchanges that are alike."""

from typing import Any

import orjson

from proxy_policies.capture.har import entry_writer
from proxy_policies.capture.har.body import write_body
from proxy_policies.capture.har.line_framing import FIELDS, GAP, form, laid_out, pair_lines, text_line
from proxy_policies.capture.model import Body, Entry, Request, Response, query_of

SAME_CONTENT = laid_out({"_same": True}, depth=2)
"""The content of an origin's response whose body the client received unchanged."""
_GAPS: dict[str, Any] = {
    **dict.fromkeys(("startedDateTime", "time", "request", "response", "serverIPAddress", "_id", "_origin"), GAP),
    "timings": dict.fromkeys(("send", "wait", "receive"), GAP),
    "_times": [GAP] * 4,
    "_facts": GAP,
}


def entry_form(entry: Entry) -> bytes:
    """Return the form of an entry with these notes, and with an origin's response and connections if it has them.

    This and the other functions raise TypeError for values that only `json` can write.
    """
    fields = entry_writer.write_entry(entry)
    return form(fields | {name: gap for name, gap in _GAPS.items() if name in fields})


def filled_entry(
    form: bytes, entry: Entry, request: bytes, response: bytes, origin: bytes, connections: bytes
) -> bytes:
    """Return a form with the times and the id of an entry; `origin` and `connections` are empty if it has none."""
    times, server_ip = entry.times, entry.connection_info.get("server_ip")
    timings, moments = entry_writer.timings(times), entry_writer.moments(times)
    numbers = orjson.dumps([entry_writer.milliseconds(times.seconds), *timings.values(), *moments])[1:-1].split(b",")
    values = [
        b'"%b"' % entry_writer.date_time(times.request_start).encode(),
        numbers[0],
        request,
        response,
        *numbers[1:4],
    ]
    if server_ip:
        values.append(text_line(server_ip))
    values += (text_line(entry.id), *numbers[4:])
    values += [part for part in (origin, connections) if part]
    return form % tuple(values)


def request_form(request: Request, has_body: bool) -> bytes:
    """Return the form of a request with this head."""
    fields = entry_writer.request_object(request) | {"url": GAP, "headers": FIELDS, "queryString": GAP, "bodySize": GAP}
    return form(fields | {"postData": GAP} if has_body else fields, depth=1)


def filled_request(form: bytes, url: str, size: bytes, content: bytes) -> bytes:
    """Return a form with a URL, and a content, which is empty if there is none."""
    query = pair_lines(entry_writer.query_pairs(query_of(url)))
    return form % (text_line(url), query, size, *([content] if content else []))


def response_form(response: Response) -> bytes:
    """Return the form of a response with this head, to be filled in with its content and its size."""
    fields = entry_writer.response_object(response) | {"headers": FIELDS, "content": GAP, "bodySize": GAP}
    return form(fields, depth=1)


def request_content(body: Body, media_type: str) -> bytes:
    """Return the content of a request."""
    return laid_out(write_body(body, media_type, "_data"), depth=2)


def response_content(body: Body, media_type: str) -> bytes:
    """Return the content of a response."""
    return laid_out({"size": len(body.content), **write_body(body, media_type, "encoding")}, depth=2)


def connections(entry: Entry) -> bytes:
    """Return what an entry says about its connections; empty if that is nothing."""
    return laid_out(dict(entry.connection_info), depth=1) if entry.connection_info else b""
