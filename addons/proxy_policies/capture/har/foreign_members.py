"""The members of a HAR entry of another program that our model lacks: they are kept, and written again."""

from typing import Any

_REQUEST = {
    *("method", "url", "httpVersion", "cookies", "headers", "queryString", "postData", "headersSize", "bodySize"),
    *("_trailers", "_target"),
}
_RESPONSE = {
    *("status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize", "bodySize"),
    "_trailers",
}
_CONTENT = {
    *("size", "mimeType", "text", "encoding"),
    *("_wire", "_lost", "_sha256", "_file", "_data", "_same", "_cut", "_frameTimes"),
}
_ATTRIBUTES = frozenset(["path", "domain", "expires", "httpOnly", "secure", "sameSite", "comment"])
"""Attributes of a cookie; other members that tools write may contain its value."""


def foreign_members(mapping: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a foreign entry that our model lacks, by their object: timings, fields of tools."""
    timings = _mapping(mapping.get("timings"))
    request, response = _mapping(mapping.get("request")), _mapping(mapping.get("response"))
    more = {
        "timings": timings if timings.keys() - {"send", "wait", "receive"} else {},
        "cache": _mapping(mapping.get("cache")),
        "request": _unread(request, _REQUEST),
        "response": _unread(response, _RESPONSE),
        "content": _body(response, "content", _CONTENT),
        "postData": _body(request, "postData", {*_CONTENT, "params"}),
        "requestCookies": _cookie_attributes(request.get("cookies")),
    }
    return {name: item for name, item in more.items() if item}


def _body(message: dict[str, Any], member: str, read: set[str]) -> dict[str, Any]:
    """Return the members of a body's object other than the body; the media type only if no field has it."""
    said = _mapping(message.get(member))
    names = [str(_mapping(field).get("name")).lower() for field in _list(message.get("headers"))]
    mime = {} if "content-type" in names or not said.get("mimeType") else {"mimeType": said["mimeType"]}
    return _unread(said, read) | mime


def _cookie_attributes(cookies: Any) -> list[dict[str, Any]]:
    """Return the attributes of a request's cookies, which browsers write; [] if there are none."""
    found = [
        {name: item for name, item in _mapping(cookie).items() if name in _ATTRIBUTES} for cookie in _list(cookies)
    ]
    return found if any(found) else []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _unread(value: dict[str, Any], read: set[str]) -> dict[str, Any]:
    """Return the members that we do not read, and the size of the head if it is known."""
    found = {name: item for name, item in value.items() if name not in read}
    return found | ({"headersSize": size} if (size := value.get("headersSize")) not in (None, -1) else {})
