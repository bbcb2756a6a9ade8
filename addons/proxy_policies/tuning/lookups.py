"""What is looked up for each request: options, header fields, and the host. Tested with mitmproxy 12.2.

Options are read without copying immutable values, and fields are found in the index that policies share (`fields`).
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from mitmproxy import http, optmanager
from mitmproxy.addons.onboarding import Onboarding
from mitmproxy.http import Headers
from mitmproxy.net.http import url

from proxy_policies.fields import fields_of
from proxy_policies.patch import Replacement

ATOMS = frozenset({type(None), bool, int, float, str})
"""Types whose values a deep copy returns unchanged."""

LONGEST = 255
"""Characters of a host (RFC 1035, section 2.3.4); longer ones are not cached."""

AuthorityText = str | bytes
ParseAuthority = Callable[[AuthorityText, bool], tuple[str, int | None]]
_Hook = Callable[[Onboarding, http.HTTPFlow], Awaitable[None]]


def quick_current(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that returns an option's value, copied only if it is mutable."""

    def current(option: Any) -> Any:
        value = option._default if option.value is optmanager.unset else option.value
        kind = type(value)
        if kind in ATOMS:
            return value
        if kind is list and all(type(member) is str for member in value):
            return value.copy()
        return original(option)

    return current


def quick_option(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """Return a function that returns an option's value in one step if it is immutable."""

    def __getattr__(options: Any, name: str) -> Any:
        option = options._options.get(name)
        if option is None:
            return original(options, name)
        value = option._default if option.value is optmanager.unset else option.value
        return value if type(value) in ATOMS else option.current()

    return __getattr__


OPTIONS = (
    Replacement(
        owner=optmanager._Option,
        attribute="current",
        wrap=quick_current,
        seen_on="12.2",
        why="an option is deep-copied, twice if it is at its default, each time it is read",
    ),
    Replacement(
        owner=optmanager.OptManager,
        attribute="__getattr__",
        wrap=quick_option,
        seen_on="12.2",
        why="an option is looked up twice, and read by another function",
    ),
)


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


def remembered(original: ParseAuthority) -> ParseAuthority:
    """Return a parser that caches recent authorities, as each request needs its own several times."""
    remembering = functools.lru_cache(256)(original)

    def parse_authority(authority: AuthorityText, check: bool) -> tuple[str, int | None]:
        is_short = type(authority) in (str, bytes) and len(authority) <= LONGEST
        return remembering(authority, check) if is_short else original(authority, check)

    return parse_authority


AUTHORITIES = Replacement(
    owner=url,
    attribute="parse_authority",
    wrap=remembered,
    seen_on="12.2",
    why="a Host is parsed again for each addon that needs it",
)


def quick_request(original: _Hook) -> Callable[[Onboarding, http.HTTPFlow], Awaitable[None] | None]:
    """Return a hook that is asynchronous only for a request for the page."""

    def request(onboarding: Onboarding, f: http.HTTPFlow) -> Awaitable[None] | None:
        return original(onboarding, f) if onboarding.should_serve(f) else None

    return request


ONBOARDING = Replacement(
    owner=Onboarding,
    attribute="request",
    wrap=quick_request,
    seen_on="12.2",
    why="each request starts a task to find that it is not for mitm.it",
)

LOOKUPS = (*OPTIONS, *HEADERS, AUTHORITIES, ONBOARDING)
