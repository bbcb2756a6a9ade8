"""Looks header fields up in the index that policies share (`fields`). Tested with mitmproxy 12.2."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mitmproxy.http import Headers

from proxy_policies.fields import fields_of
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
    """Return a look-up in the index."""

    def get_all(headers: Headers, name: Any) -> list[str]:
        return fields_of(headers).lines(name) if _is_plain(name) else original(headers, name)

    return get_all


def quick_get(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a look-up of a field's value or the default; subclasses use their own."""

    def get(headers: Headers, key: Any, default: Any = None) -> Any:
        if type(headers) is not Headers or not _is_plain(key):
            return original(headers, key, default)
        value = fields_of(headers).get(key)
        return default if value is None else value

    return get


def quick_contains(original: Callable[[Headers, Any], bool]) -> Callable[[Headers, Any], bool]:
    """Return a test for the presence of a field; subclasses use their own."""

    def contains(headers: Headers, key: Any) -> bool:
        if type(headers) is not Headers or not _is_plain(key):
            return original(headers, key)
        return key in fields_of(headers)

    return contains


def _is_plain(name: Any) -> bool:
    """Return whether a name has the same lower-case form as text and as bytes."""
    return type(name) is str and name.isascii()


_WHY = "a field is looked up by four functions, and missed by an exception"
HEADERS = (
    Replacement(
        owner=Headers, attribute="__init__", wrap=quick_init, seen_on="12.2", why="fields are checked three times"
    ),
    Replacement(owner=Headers, attribute="get_all", wrap=quick_get_all, seen_on="12.2", why=_WHY),
    Replacement(owner=Headers, attribute="get", wrap=quick_get, seen_on="12.2", why=_WHY),
    Replacement(owner=Headers, attribute="__contains__", wrap=quick_contains, seen_on="12.2", why=_WHY),
)
