"""Looks header fields up in one pass, without an exception for missing ones. Tested with mitmproxy 12.2."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mitmproxy.http import Headers

from proxy_policies.patch import Replacement


def quick_init(original: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor that accepts valid fields directly, and leaves all others to the original."""

    def __init__(headers: Headers, fields: Iterable[Any] = (), **more: Any) -> None:
        lines = tuple(map(tuple, fields))
        if more or type(headers) is not Headers or not all(map(_is_line, lines)):
            original(headers, lines, **more)
        else:
            headers.fields = lines

    return __init__


def _is_line(line: tuple[Any, ...]) -> bool:
    return len(line) == 2 and type(line[0]) is type(line[1]) is bytes


def quick_get_all(original: Callable[[Headers, Any], list[str]]) -> Callable[[Headers, Any], list[str]]:
    """Return a look-up that compares each field's name once, without Python calls."""

    def get_all(headers: Headers, name: Any) -> list[str]:
        if type(name) is str:
            name = name.encode("utf-8", "surrogateescape")
        elif type(name) is not bytes:
            return original(headers, name)
        wanted = name.lower()
        return [value.decode("utf-8", "surrogateescape") for key, value in headers.fields if key.lower() == wanted]

    return get_all


def quick_get(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a look-up of a field's value or the default; subclasses use their own."""

    def get(headers: Headers, key: Any, default: Any = None) -> Any:
        if type(headers) is not Headers:
            return original(headers, key, default)
        values = headers.get_all(key)
        return ", ".join(values) if values else default

    return get


def quick_contains(original: Callable[[Headers, Any], bool]) -> Callable[[Headers, Any], bool]:
    """Return a test for the presence of a field; subclasses use their own."""

    def contains(headers: Headers, key: Any) -> bool:
        return bool(headers.get_all(key)) if type(headers) is Headers else original(headers, key)

    return contains


_WHY = "a field is looked up by four functions, and missed by an exception"
HEADERS = (
    Replacement(
        owner=Headers, attribute="__init__", wrap=quick_init, seen_on="12.2", why="fields are checked three times"
    ),
    Replacement(owner=Headers, attribute="get_all", wrap=quick_get_all, seen_on="12.2", why=_WHY),
    Replacement(owner=Headers, attribute="get", wrap=quick_get, seen_on="12.2", why=_WHY),
    Replacement(owner=Headers, attribute="__contains__", wrap=quick_contains, seen_on="12.2", why=_WHY),
)
