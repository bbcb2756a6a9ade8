"""Matchers: rules for values that may differ from the recorded ones.

any               any value
type              a value of the same JSON type: text, number, boolean, object, list, null
regex:PATTERN     a text or number that the whole pattern matches
iso-date          a date or time of RFC 3339: 2026-11-28, 2026-11-28T10:15:00Z
uuid              a UUID (RFC 9562)
number±X          a number that differs from the recorded one by at most X; or by X percent: number±5%
NAME, NAME:ARG    a matcher of a plugin: an entry point of the group `proxy_policies.matchers`

An entry point is a function that takes ARG (or an empty text) and returns a function `matches(old, new) -> bool`.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from proxy_policies.capture.bodies.json_path import compile_path
from proxy_policies.capture.check.change import Change

PREFIX = "match:"
GROUP = "proxy_policies.matchers"
Matcher = Callable[[Any, Any], bool]
"""Returns whether a live value (the second) is accepted for a recorded one (the first)."""

_SPEC = re.compile(
    r"(?:match:)?(?P<where>(?:header|cookie):[^=]+|(?:json:)?\$(?:[^=\[]|\[\"(?:[^\"\\]|\\.)*\"\]|\[[\d*]+\])*)=(?P<matcher>.+)"
)
_NUMBER = re.compile(r"number(?:±|\+/?-)(?P<limit>\d+(?:\.\d+)?)(?P<percent>%?)")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)?")
_COVERS_CONTENT = ("any", "type")  # these also accept changes inside an object or a list


def parse_match(text: str) -> tuple[str, str]:
    """Read `PATH=MATCHER` and return the location and the matcher. Raise ValueError."""
    found = _SPEC.fullmatch(text)
    if found is None:
        raise ValueError(f"{text.removeprefix(PREFIX)!r}: write PATH=MATCHER, as $.total=number±0.5 or header:etag=any")
    where = found["where"].strip()
    location = f"json:{where}" if where.startswith("$") else where
    if location.startswith("json:"):
        compile_path(location[5:])
    matcher_of(found["matcher"])
    return location.lower() if location.startswith("header:") else location, found["matcher"]


@lru_cache(1024)
def matcher_of(text: str) -> Matcher:
    """Return the matcher for `NAME` or `NAME:ARG`. Raise ValueError."""
    if text in _BUILT_IN:
        return _BUILT_IN[text]
    if text.startswith("regex:"):
        return _regex(text[6:])
    number = _NUMBER.fullmatch(text)
    return _number(float(number["limit"]), bool(number["percent"])) if number else _from_plugin(text)


def _from_plugin(text: str) -> Matcher:
    name, _, argument = text.partition(":")
    for found in entry_points(group=GROUP, name=name):
        matcher: Matcher = found.load()(argument)
        return matcher
    plugins = sorted(entry_points(group=GROUP).names)
    raise ValueError(
        f"{text!r} is not a matcher; choose one of {', '.join((*_BUILT_IN, 'regex:PATTERN', 'number±X', *plugins))}"
    )


def _regex(text: str) -> Matcher:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a valid regular expression: {error}") from None
    return lambda _, new: isinstance(new, str | int | float) and bool(pattern.fullmatch(str(new)))


def _number(limit: float, is_percent: bool) -> Matcher:
    def matches(old: Any, new: Any) -> bool:
        one, other = _as_number(old), _as_number(new)
        if one is None or other is None:
            return False
        return abs(other - one) <= (abs(one) * limit / 100 if is_percent else limit) * (1 + 1e-12)

    return matches


def _as_number(value: Any) -> float | None:
    """Return a number, or a text with one, as fields and cookies have it, as a float; None for anything else."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _json_type(value: Any) -> type:
    return float if type(value) is int else type(value)


def _is_date(value: Any) -> bool:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        (date if len(value) == 10 else datetime).fromisoformat(value)
    except ValueError:
        return False
    return True


_BUILT_IN: dict[str, Matcher] = {
    "any": lambda old, new: True,
    "type": lambda old, new: _json_type(old) is _json_type(new),
    "iso-date": lambda old, new: _is_date(new),
    "uuid": lambda old, new: isinstance(new, str) and bool(_UUID.fullmatch(new)),
}


@lru_cache(1024)
def _location_pattern(location: str) -> re.Pattern[str]:
    """Return a pattern for a location, in which `[*]` is any index; its group `inside` has the rest of a deeper one."""
    parts = (re.escape(part) for part in location.split("[*]"))
    return re.compile(r"\[\d+\]".join(parts) + r"(?P<inside>[.\[].*)?", re.DOTALL)


def covers(location: str, matcher: str, change: Change) -> bool:
    """Return whether a matcher is for the value that changed; `any` and `type` are also for changes inside theirs."""
    found = _location_pattern(location).fullmatch(change.location)
    return found is not None and (not found["inside"] or matcher in _COVERS_CONTENT)


def allows(location: str, matcher: str, change: Change) -> bool:
    """Return whether a matcher accepts a change that it covers: any inside its value, but not the value's removal."""
    found = _location_pattern(location).fullmatch(change.location)
    if found is not None and found["inside"]:
        return True
    if change.kind != "changed":
        return False
    old, new = (
        (_cookie_value(value) if location.startswith("cookie:") else value) for value in (change.old, change.new)
    )
    return matcher_of(matcher)(old, new)


def _cookie_value(text: Any) -> str:
    """Return the value of a cookie, without its name and attributes."""
    return str(text).partition("=")[2].partition(";")[0]


def suggest(change: Change) -> str:
    """Return `PATH=MATCHER` with the narrowest matcher that accepts a change; empty if there is none."""
    if change.kind != "changed" or not change.location.startswith(("json:", "header:", "cookie:")):
        return ""
    old, new = (
        (_cookie_value(value) if change.location.startswith("cookie:") else value) for value in (change.old, change.new)
    )
    return f"{change.location}={_narrowest(old, new)}"


def _narrowest(old: Any, new: Any) -> str:
    one, other = _as_number(old), _as_number(new)
    if one is not None and other is not None and type(old) in (int, float) and type(new) in (int, float):
        return f"number±{abs(other - one):.6g}"
    for name in ("uuid", "iso-date"):
        if _BUILT_IN[name](new, old) and _BUILT_IN[name](old, new):
            return name
    return "type" if _BUILT_IN["type"](old, new) else "any"
