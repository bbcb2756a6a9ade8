"""A HAR entry object, ours or a foreign one, as an entry. A wrong field raises CaptureError with its path."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from proxy_policies.capture import har_body
from proxy_policies.capture.har_body import Fetch
from proxy_policies.capture.model import Body, Entry, Headers, Message, Request, Response, Times
from proxy_policies.capture.places import Place

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
_READ = {
    *("startedDateTime", "time", "request", "response", "cache", "timings", "comment", "serverIPAddress"),
    *("_id", "_times", "_origin", "_webSocketMessages", "_closeCode", "_closeReason", "_closedBy"),
    *("_error", "_trace", "_facts"),
}


def read_entry(value: Any, path: str, fetch: Fetch | None = None) -> Entry:
    """Return the entry of a HAR entry object; `path` names it in errors, as `entry 3`."""
    place = Place(value, path)
    mapping = place.mapping()
    response = _response(place["response"], fetch)
    if response.status in BODILESS and place["_times"].value is None:
        response = replace(response, body=Body())
    return Entry(
        request=_request(place["request"], fetch),
        response=response,
        times=_times(place),
        id=place["_id"].text(""),
        origin=_origin(place["_origin"], response, fetch),
        messages=tuple(_message(item) for item in place["_webSocketMessages"]),
        close_code=None if mapping.get("_closeCode") is None else int(place["_closeCode"].number()),
        close_reason=place["_closeReason"].text(""),
        closed_by_client=CLOSED_BY.get(place["_closedBy"].text("")),
        error=_error(place["_error"]),
        comment=place["comment"].text(""),
        trace=tuple(note.mapping() for note in place["_trace"]),
        facts=_facts(place),
        extra={name: item for name, item in mapping.items() if name not in _READ},
    )


def _facts(place: Place) -> Mapping[str, Any]:
    own = place["_facts"]
    if own.value is not None:
        return own.mapping()
    address = place["serverIPAddress"].text("")
    return {"server_ip": address} if address else {}


def _error(place: Place) -> str:
    return place.value if isinstance(place.value, str) else ""


def _pairs(place: Place) -> Headers:
    return tuple(_pair(item) for item in place)


def _pair(place: Place) -> tuple[str, str]:
    """Return a field. A character that no octet stands for is kept as its UTF-8 octets."""
    return _octets(place["name"].text()), _octets(place["value"].text(""))


def _octets(text: str) -> str:
    try:
        text.encode("latin-1")
    except UnicodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text


def _version(place: Place) -> str:
    text = place.text("")
    return VERSIONS.get(text.lower(), text)


def _request(place: Place, fetch: Fetch | None) -> Request:
    url = place["url"].text()
    if not urlsplit(url).scheme:
        raise place["url"].wrong(f"not an absolute URL: {url[:80]!r}")
    body = place["postData"]
    return Request(
        method=place["method"].text(),
        url=url,
        headers=_without_pseudo(_pairs(place["headers"])),
        body=_read_post(body, fetch) if body.value is not None else Body(),
        version=_version(place["httpVersion"]),
        trailers=_pairs(place["_trailers"]),
        target=place["_target"].text(""),
    )


def _read_post(place: Place, fetch: Fetch | None) -> Body:
    """Return the body of `postData`; Firefox and Charles give a form's `params` without its `text`."""
    if place["text"].value is None and place["params"].value:
        pairs = [_pair(item) for item in place["params"]]
        return Body("&".join(f"{name}={value}" for name, value in pairs).encode("latin-1"))
    return har_body.read_body(place, fetch)


def _without_pseudo(headers: Headers) -> Headers:
    """Return the fields without HTTP/2's pseudo-header fields, which Chrome lists among them."""
    return tuple(pair for pair in headers if not pair[0].startswith(":"))


def _response(place: Place, fetch: Fetch | None) -> Response:
    if place.value is None:
        return Response(0)
    content = place["content"]
    return Response(
        status=int(place["status"].number(0)),
        reason=place["statusText"].text(""),
        headers=_without_pseudo(_pairs(place["headers"])),
        body=har_body.read_body(content, fetch) if content.value is not None else Body(),
        version=_version(place["httpVersion"]),
        trailers=_pairs(place["_trailers"]),
    )


def _origin(place: Place, response: Response, fetch: Fetch | None) -> Response | None:
    if place.value is None:
        return None
    origin = _response(place, fetch)
    content = place["content"]
    return replace(origin, body=response.body) if content.value and content["_same"].flag() else origin


def _message(place: Place) -> Message:
    text = place["opcode"].number(1) == 1
    data = place["data"].text("")
    return Message(
        from_client=place["type"].text() == "send",
        text=text,
        data=data.encode("utf-8", "surrogateescape") if text else har_body.from_base64(place["data"]),
        time=place["time"].number(0),
    )


def _times(place: Place) -> Times:
    own = [item.optional_number() for item in place["_times"]]
    if len(own) == 4 and own[0] is not None:
        return Times(own[0], *own[1:])
    start = _started(place["startedDateTime"])
    total = max(0.0, place["time"].number(0)) / 1000
    timings = place["timings"]
    wait = receive = 0.0
    if timings.value is not None:
        wait, receive = timings["wait"].number(0), timings["receive"].number(0)
    end = start + total
    first = max(start, end - max(0.0, receive) / 1000)
    return Times(start, max(start, first - max(0.0, wait) / 1000), first, end)


def _started(place: Place) -> float:
    text = place.text()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise place.wrong(f"not a date and time: {text[:40]!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
