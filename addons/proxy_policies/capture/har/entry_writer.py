"""An entry as the JSON of HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/).

The standard fields say what other tools understand; what they cannot say goes into fields that begin with
an underscore, so that reading the entry again gives the very same value.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from proxy_policies.capture.har import body as har_body
from proxy_policies.capture.har.body import Attach
from proxy_policies.capture.har.entry_reader import CLOSED_BY
from proxy_policies.capture.har.line_framing import Pairs
from proxy_policies.capture.model import (
    HEADS,
    NO_BODY,
    Body,
    Entry,
    Request,
    Response,
    Times,
    WebSocketMessage,
    field_lines,
    header,
    query_of,
)

FOREIGN = ("request", "response", "content", "timings", "cache", "postData", "requestCookies")
"""Members of a foreign entry of which a part is in `extra`, under its name."""
_CLOSED_BY = {by_client: name for name, by_client in CLOSED_BY.items()} | {None: ""}
FORMAT = 1  # the version of the underscore fields; a reader refuses a newer one


class ExternalBodies:
    """Writes bodies of more than `over` bytes to files beside the capture."""

    def __init__(self, over: int, attach: Attach) -> None:
        self.over = over
        self.attach = attach

    def of(self, body: Body) -> Attach | None:
        """Return the function that writes this body to a file; None if it stays in the capture."""
        return self.attach if len(body.content) > self.over else None


def write_entry(entry: Entry, beside: ExternalBodies | None = None) -> dict[str, Any]:
    """Return the entry as a HAR entry object."""
    origin = entry.origin
    fields: dict[str, Any] = {
        "startedDateTime": date_time(entry.times.request_start),
        "time": milliseconds(entry.times.seconds),
        "request": request_object(entry.request, beside),
        "response": response_object(entry.response, beside),
        "cache": {},
        "timings": timings(entry.times),
    }
    optional = {
        "serverIPAddress": entry.connection_info.get("server_ip"),
        "comment": entry.comment,
        "_id": entry.id,
        "_times": moments(entry.times),
        "_origin": response_object(origin, beside, origin.body == entry.response.body) if origin else None,
        "_webSocketMessages": [_message(message) for message in entry.messages],
        "_closeCode": entry.close_code,
        "_closeReason": entry.close_reason,
        "_closedBy": _CLOSED_BY[entry.closed_by_client],
        "_error": entry.error,
        "_trace": [dict(note) for note in entry.trace],
        "_facts": dict(entry.connection_info),
    }
    fields |= {name: value for name, value in optional.items() if value or value == 0}
    return _with_foreign(fields, entry.extra) if entry.extra else fields


def date_time(moment: float) -> str:
    """Return a time in seconds since the epoch as ISO 8601 has it."""
    seconds, microseconds = divmod(round(moment * 1_000_000), 1_000_000)
    return f"{_second(seconds)}.{str(1_000_000 + microseconds)[1:]}+00:00"  # formatting with :06 takes twice as long


@lru_cache(16)  # many exchanges begin in the same second
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def _with_foreign(fields: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with the members that the entry's own tool wrote."""
    for name in ("request", "response"):
        fields[name] |= extra.get(name, {})
    fields["response"]["content"] |= extra.get("content", {})
    fields["timings"] |= extra.get("timings", {})
    if "postData" in fields["request"]:
        fields["request"]["postData"] |= extra.get("postData", {})
    cookies, attributes = fields["request"]["cookies"], extra.get("requestCookies", ())
    if len(cookies) == len(attributes):
        fields["request"]["cookies"] = [cookie | more for cookie, more in zip(cookies, attributes, strict=True)]
    fields["cache"] |= extra.get("cache", {})
    return {**{name: value for name, value in extra.items() if name not in FOREIGN}, **fields}


def request_object(request: Request, beside: ExternalBodies | None = None) -> dict[str, Any]:
    """Return a request object."""
    body, headers = request.body, request.headers
    fields: dict[str, Any] = {
        "method": request.method,
        "url": request.url,
        "httpVersion": request.version,
        "cookies": _cookies(header(headers, "cookie") or ""),
        "headers": Pairs(headers),
        "queryString": Pairs(query_pairs(query_of(request.url))),
        "headersSize": -1,
        "bodySize": len(body.content if body.wire is None else body.wire),
    }
    if body is not NO_BODY and body != NO_BODY:
        attach, mime = beside.of(body) if beside else None, header(headers, "content-type") or ""
        fields["postData"] = har_body.write_body(body, mime, "_data", attach)
    if request.trailers:
        fields["_trailers"] = Pairs(request.trailers)
    if request.target:
        fields["_target"] = request.target
    return fields


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Return the parameters of a query."""
    if "%" in query or "+" in query:
        return parse_qsl(query, keep_blank_values=True)
    return [(name, value) for name, _, value in [part.partition("=") for part in query.split("&") if part]]


@lru_cache(HEADS)
def _cookies(value: str) -> Pairs:
    parts = [part.strip().partition("=") for part in value.split(";")]
    return Pairs([(name, text) for name, _, text in parts if name])


def _set_cookie(value: str) -> dict[str, Any]:
    """Return a Set-Cookie field as a cookie object of HAR."""
    pair, *attributes = [part.strip() for part in value.split(";")]
    name, _, text = pair.partition("=")
    found = {key.strip().lower(): item.strip() for key, _, item in (part.partition("=") for part in attributes)}
    cookie: dict[str, Any] = {"name": name, "value": text}
    cookie |= {key: found[key] for key in ("path", "domain") if found.get(key)}
    cookie |= {"sameSite": found["samesite"]} if found.get("samesite") else {}
    moment = _moment(found.get("expires", ""))
    return (
        cookie
        | ({"expires": moment} if moment else {})
        | {"httpOnly": "httponly" in found, "secure": "secure" in found}
    )


def _moment(date: str) -> str:
    """Return an HTTP date in ISO 8601; empty if it is invalid."""
    try:
        return parsedate_to_datetime(date).isoformat() if date else ""
    except (ValueError, TypeError):
        return ""


def response_object(response: Response, beside: ExternalBodies | None = None, is_same: bool = False) -> dict[str, Any]:
    """Return a response object; with `is_same`, the origin's, whose body the client received unchanged, without it."""
    body = NO_BODY if is_same else response.body
    headers = response.headers
    attach, mime = beside.of(body) if beside else None, header(headers, "content-type") or ""
    fields: dict[str, Any] = {
        "status": response.status,
        "statusText": response.reason,
        "httpVersion": response.version,
        "cookies": [_set_cookie(value) for value in field_lines(headers).get("set-cookie", ())],
        "headers": Pairs(headers),
        "content": {"_same": True}
        if is_same
        else {"size": len(body.content), **har_body.write_body(body, mime, "encoding", attach)},
        "redirectURL": header(headers, "location") or "",
        "headersSize": -1,
        "bodySize": len(body.content if body.wire is None else body.wire),
    }
    if response.trailers:
        fields["_trailers"] = Pairs(response.trailers)
    return fields


def _message(message: WebSocketMessage) -> dict[str, Any]:
    """Return a WebSocket message as Chrome's DevTools do: opcode 1 is text, 2 is base64."""
    data = message.data.decode("utf-8", "surrogateescape") if message.text else har_body.as_base64(message.data)
    fields = {
        "type": "send" if message.from_client else "receive",
        "time": message.time,
        "opcode": 1 if message.text else 2,
        "data": data,
    }
    return fields | {"_lost": message.dropped} if message.dropped else fields


def moments(times: Times) -> list[float | None]:
    """Return the times in the order of the steps."""
    return [times.request_start, times.request_end, times.response_start, times.response_end]


def timings(times: Times) -> dict[str, float]:
    """Return how long each step took, in milliseconds."""
    sent, answered = times.request_end, times.response_start
    return {
        "send": _span(times.request_start, sent),
        "wait": _span(sent, answered),
        "receive": _span(answered, times.response_end),
    }


def _span(start: float | None, end: float | None) -> float:
    return milliseconds(end - start) if start and end and end > start else 0


def milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds with three decimals."""
    return int(seconds * 1_000_000 + 0.5) / 1000  # unlike round(), without making a text of it
