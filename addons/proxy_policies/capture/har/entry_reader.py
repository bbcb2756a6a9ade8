"""Reading a HAR entry object, ours or a foreign one. An invalid field raises CaptureError with its path."""

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from proxy_policies.capture.har import body as har_body
from proxy_policies.capture.har.body import Fetch
from proxy_policies.capture.har.foreign_members import foreign_members
from proxy_policies.capture.har.form_params import Param, form_body
from proxy_policies.capture.har.json_cursor import JsonCursor
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times, WebSocketMessage

VERSIONS = {  # how Chrome, Firefox, Safari and mitmproxy spell the versions
    "h2": "HTTP/2",
    "http/2.0": "HTTP/2",
    "http/2": "HTTP/2",
    "h3": "HTTP/3",
    "http/3.0": "HTTP/3",
    "http/3": "HTTP/3",
    "http/1.1": "HTTP/1.1",
    "http/1": "HTTP/1.1",
    "http/1.0": "HTTP/1.0",
    "": "HTTP/1.1",
    "unknown": "HTTP/1.1",
}
BODILESS = frozenset({204, 304})
"""Statuses without content (RFC 9110 section 6.4.1). Under 304 Firefox writes what its cache had."""
CLOSED_BY = {"client": True, "server": False}
_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_NO_REASON = dict.fromkeys(range(32), " ")  # RFC 9112 section 4
_NO_VALUE = {0: " ", 13: " "}
_NOT_IN_URLS = dict.fromkeys(map(ord, "\t\r\n"))  # which browsers leave out of a URL
SCHEMES = ("http", "https", "ws", "wss")
_READ = {
    *("startedDateTime", "time", "request", "response", "cache", "timings", "comment", "serverIPAddress"),
    *("_id", "_times", "_origin", "_webSocketMessages", "_closeCode", "_closeReason", "_closedBy"),
    *("_error", "_trace", "_facts"),
}


def read_entry(value: Any, path: str, fetch: Fetch | None = None, problems: list[str] | None = None) -> Entry:
    """Return the entry of a HAR entry object; `path` names it in errors, as `entry 3`.

    With a list for `problems`, errors in fields are appended to it, and the entry is read without them; a missing
    method or HTTP URL raises CaptureError all the same.
    """
    cursor = JsonCursor(value, path, problems)
    mapping = cursor.mapping()
    request, response = _request(cursor["request"], fetch), _response(cursor["response"], fetch)
    if (response.status in BODILESS or request.method == "HEAD") and cursor["_times"].value is None:
        response = replace(response, body=Body())
    return Entry(
        request=request,
        response=response,
        times=_times(cursor),
        id=cursor["_id"].text(""),
        origin=_origin(cursor["_origin"], response, fetch),
        messages=tuple(_messages(cursor["_webSocketMessages"])),
        close_code=None if mapping.get("_closeCode") is None else int(cursor["_closeCode"].number()),
        close_reason=cursor["_closeReason"].text(""),
        closed_by_client=CLOSED_BY.get(cursor["_closedBy"].text("")),
        error=_error(cursor["_error"]),
        comment=cursor["comment"].text(""),
        trace=tuple(note.mapping() for note in cursor["_trace"]),
        connection_info=_connection_info(cursor),
        extra={name: item for name, item in mapping.items() if name not in _READ} | foreign_members(mapping),
    )


def read_request(value: Any, path: str, fetch: Fetch | None = None) -> Request:
    """Return the request of a HAR entry object. Raise CaptureError."""
    return _request(JsonCursor(value, path)["request"], fetch)


def read_times(value: Any, path: str) -> Times:
    """Return the times of a HAR entry object. Raise CaptureError."""
    return _times(JsonCursor(value, path))


def _connection_info(cursor: JsonCursor) -> Mapping[str, Any]:
    own = cursor["_facts"]
    if own.value is not None:
        return own.mapping()
    address = cursor["serverIPAddress"].text("")
    return {"server_ip": address} if address else {}


def _error(cursor: JsonCursor) -> str:
    return cursor.value if isinstance(cursor.value, str) else ""


def _pairs(cursor: JsonCursor) -> Headers:
    return tuple(pair for item in cursor for pair in _fields(item))


def _fields(cursor: JsonCursor) -> Iterator[tuple[str, str]]:
    """Yield a field; of a foreign entry several where an exporter has joined them with line feeds, as Chrome does.

    A character that no byte stands for is kept as its UTF-8 bytes, and none ends a line (RFC 9110 section 5.5). What
    is no name (section 5.1) is left out.
    """
    if cursor.problems is None:
        yield _pair(cursor)
        return
    name, value = _as_latin1(cursor["name"].text("")), _as_latin1(cursor["value"].text(""))
    if not _TOKEN.fullmatch(name.removeprefix(":")):
        cursor.mend(cursor["name"].wrong(f"not the name of a field: {name[:40]!r}"), None)
        return
    yield from ((name, line.strip("\r").translate(_NO_VALUE)) for line in value.split("\n"))


def _pair(cursor: JsonCursor) -> tuple[str, str]:
    return _as_latin1(cursor["name"].text()), _as_latin1(cursor["value"].text(""))


def _as_latin1(text: str) -> str:
    try:
        text.encode("latin-1")
    except UnicodeError:
        return har_body.as_bytes(text).decode("latin-1")
    return text


def _version(cursor: JsonCursor) -> str:
    text = cursor.text("")
    return VERSIONS.get(text.lower(), text)


def _request(cursor: JsonCursor, fetch: Fetch | None) -> Request:
    url = cursor["url"].text()
    if cursor.problems is not None:
        url = _as_uri(url)
    _require_http(cursor["url"], url)
    body = cursor["postData"]
    return Request(
        method=_method(cursor["method"]),
        url=url,
        headers=_without_pseudo(_pairs(cursor["headers"])),
        body=_read_post(body, fetch) if body.value is not None else Body(),
        version=_version(cursor["httpVersion"]),
        trailers=_pairs(cursor["_trailers"]),
        target=cursor["_target"].text(""),
    )


def _method(cursor: JsonCursor) -> str:
    method = cursor.text()
    if cursor.problems is not None and not _TOKEN.fullmatch(method):
        raise cursor.wrong(f"not a method: {method[:40]!r}")
    if cursor.problems is not None and method == "CONNECT":  # Fiddler writes one for each HTTPS connection
        raise cursor.wrong("CONNECT opens a tunnel, and is not an exchange")
    return method


def _as_uri(text: str) -> str:
    """Return an IRI as a URI (RFC 3987 section 3.1): its host in ASCII, other characters percent-encoded."""
    text = text.strip().translate(_NOT_IN_URLS)
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    try:
        host = urlsplit(text).hostname or ""
        text = text if host.isascii() else text.replace(host, host.encode("idna").decode(), 1)
    except ValueError:  # which the next look at it says, too
        pass
    return quote(text, safe=string.punctuation, errors="surrogatepass")


def _require_http(cursor: JsonCursor, url: str) -> None:
    try:
        parts = urlsplit(url)
        scheme, host, _ = parts.scheme, parts.hostname, parts.port
    except ValueError:
        raise cursor.wrong(f"not a URL: {url[:80]!r}") from None
    if not scheme:
        raise cursor.wrong(f"not an absolute URL: {url[:80]!r}")
    if scheme.lower() not in SCHEMES or not host:
        raise cursor.wrong(f"not a URL of HTTP: {url[:40]!r}")


def _read_post(cursor: JsonCursor, fetch: Fetch | None) -> Body:
    """Return the body of `postData`, which may have a form's `params` without its `text`."""
    if cursor["text"].value is None and cursor["params"].value:
        return Body(form_body([_param(item) for item in cursor["params"]], cursor["mimeType"].text("")))
    return har_body.read_body(cursor, fetch)


def _param(cursor: JsonCursor) -> Param:
    texts = [cursor[name].text("") for name in ("value", "fileName", "contentType")]
    return Param(cursor["name"].text(), *texts)


def _without_pseudo(headers: Headers) -> Headers:
    """Return the fields without HTTP/2's pseudo-header fields, which Chrome lists among them."""
    return tuple(pair for pair in headers if not pair[0].startswith(":"))


def _response(cursor: JsonCursor, fetch: Fetch | None) -> Response:
    if cursor.value is None:
        return Response(0)
    content = cursor["content"]
    return Response(
        status=int(cursor["status"].number(0)),
        reason=_reason(cursor["statusText"]),
        headers=_without_pseudo(_pairs(cursor["headers"])),
        body=har_body.read_body(content, fetch) if content.value is not None else Body(),
        version=_version(cursor["httpVersion"]),
        trailers=_pairs(cursor["_trailers"]),
    )


def _reason(cursor: JsonCursor) -> str:
    text = cursor.text("")
    return text if cursor.problems is None else _as_latin1(text).translate(_NO_REASON)


def _origin(cursor: JsonCursor, response: Response, fetch: Fetch | None) -> Response | None:
    if cursor.value is None:
        return None
    origin = _response(cursor, fetch)
    content = cursor["content"]
    return replace(origin, body=response.body) if content.value and content["_same"].flag() else origin


def _messages(cursor: JsonCursor) -> Iterator[WebSocketMessage]:
    """Yield the messages; of a foreign entry without errors, which Chrome lists among them."""
    for item in cursor:
        if item.problems is not None and item["type"].value not in ("send", "receive"):
            item.mend(item.wrong("not a WebSocket message"), None)
        else:
            yield _message(item)


def _message(cursor: JsonCursor) -> WebSocketMessage:
    text = cursor["opcode"].number(1) == 1
    data = cursor["data"].text("")
    return WebSocketMessage(
        from_client=cursor["type"].text() == "send",
        text=text,
        data=har_body.as_bytes(data) if text else har_body.from_base64(cursor["data"]),
        time=cursor["time"].number(0),
        dropped=int(cursor["_lost"].number(0)),
    )


def _times(cursor: JsonCursor) -> Times:
    own = [item.optional_number() for item in cursor["_times"]]
    if len(own) == 4 and own[0] is not None:
        return Times(own[0], *own[1:])
    start = _started(cursor["startedDateTime"])
    total = max(0.0, cursor["time"].number(0)) / 1000
    timings = cursor["timings"]
    wait = receive = 0.0
    if timings.value is not None:
        wait, receive = timings["wait"].number(0), timings["receive"].number(0)
    end = start + total
    first = max(start, end - max(0.0, receive) / 1000)
    return Times(start, max(start, first - max(0.0, wait) / 1000), first, end)


def _started(cursor: JsonCursor) -> float:
    """Return the time at a cursor in seconds since the epoch; 0 if it is invalid."""
    text = cursor.text("") if cursor.problems is not None else cursor.text()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return cursor.mend(cursor.wrong(f"not a date and time: {text[:40]!r}"), 0.0)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
