"""Cache directives of requests and responses (RFC 9111, section 5.2; RFC 5861; RFC 8246; RFC 9213).

Parsers are strict about what they trust: an unreadable argument makes a lifetime zero, never longer; a restricting
directive counts however and wherever it is written, a permitting one only if it conforms to the grammar.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from proxy_policies.fields import Directive, Fields, parse_directives, tokens
from proxy_policies.lazy_imports import lazy_imports

with lazy_imports():
    import http_sf

MAX_DELTA = 2**31
"""The most seconds of a delta (RFC 9111, section 1.2.2)."""

_FIELD_NAME = re.compile(r"[a-z][a-z0-9_-]*")
"""Lower-cased. Tokens allow more, but no response field is named by a number."""
ALL: frozenset[str] = frozenset()
"""The field names of an unqualified `no-cache` or `private`: none named means all."""
ANSWERS = frozenset({"false", "no", "none", "null", "off", "on", "true", "yes"})
"""Values written instead of field names by mistake, as if the directive were a switch; no field has such a name."""
LIMITED_BY_FIELDS = frozenset({"no-cache", "private"})
"""Directives whose quoted-string argument names the fields they apply to (sections 5.2.2.4 and 5.2.2.7)."""
PERMITTING = frozenset({"public", "must-understand"})
"""Directives that allow storing a response that otherwise could not be stored. They have no argument."""
RESTRICTING = frozenset({"must-revalidate", "no-cache", "no-store", "no-transform", "private", "proxy-revalidate"})
"""Directives that only forbid: they count even in a field that is invalid as a whole."""
INDISPENSABLE = frozenset(
    {
        "age", "cache-control", "cdn-cache-control", "content-encoding", "content-range", "content-type", "date",
        "expires", "location", "vary",
    }
)  # fmt: skip
"""Fields without which a response would mean something else, or be reused differently."""


def delta_seconds(text: str | None) -> int | None:
    """Parse delta-seconds; return None for any other text (a sign, a fraction, nothing)."""
    if text is None or not text.isascii() or not text.isdigit():
        return None
    return min(int(text[:20]), MAX_DELTA)


@dataclass(frozen=True, slots=True)
class ResponseDirectives:
    """A response's caching directives; seconds are None if absent, 0 if unreadable."""

    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    no_store: bool = False
    no_cache: frozenset[str] | None = None
    """None: absent; empty: the whole response; else the fields it applies to (section 5.2.2.4)."""
    private: frozenset[str] | None = None
    """As `no_cache` (section 5.2.2.7)."""
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    allows_authorization: bool = False
    """A response to a request with Authorization may be shared (section 3.5)."""
    targeted: bool = False
    """From CDN-Cache-Control, which overrides Cache-Control and Expires (RFC 9213, section 2.1)."""


@dataclass(frozen=True, slots=True)
class RequestDirectives:
    """A request's caching directives (RFC 9111, section 5.2.1)."""

    max_age: int | None = None
    min_fresh: int | None = None
    max_stale: int | None = None
    """Seconds of staleness accepted; MAX_DELTA when no bound was given."""
    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    stale_if_error: int | None = None


Member = tuple[str, str | None]
"""A directive's name and its argument."""


def _directives(lines: Iterable[str]) -> list[Directive]:
    return [directive for line in lines for directive in parse_directives(line)]


def _members(directives: Iterable[Directive]) -> Iterator[Member]:
    """Select what counts: permitting directives only if they conform to the grammar, field names only if quoted.

    Senders should not write an unquoted argument of `private` or `no-cache`; Squid, too, ignores such an argument.
    """
    for directive in directives:
        is_plain = directive.is_valid and directive.argument is None
        if directive.name in LIMITED_BY_FIELDS and not directive.is_quoted:
            yield directive.name, None
        elif is_plain or directive.name not in PERMITTING:
            yield directive.name, directive.argument


def _allows_authorization(directive: Directive) -> bool:
    """Return whether a directive is a valid one of those that section 3.5 names."""
    match directive:
        case Directive("public" | "must-revalidate", None, True):
            return True
        case Directive("s-maxage", argument, True):
            return delta_seconds(argument) is not None
        case _:
            return False


def _lifetime(argument: str | None) -> int:
    return delta_seconds(argument) or 0


def _min_fresh(argument: str | None) -> int:
    """Parse a client's demand, which zero does not restrict."""
    return _lifetime(argument)


def _names(argument: str | None) -> frozenset[str]:
    """Return the field names that a directive is limited to (section 5.2.2.7).

    ALL unless these are names of fields that a response can do without.
    """
    names = frozenset(tokens(argument)) if argument else ALL
    is_limited = names.isdisjoint(INDISPENSABLE | ANSWERS) and all(_FIELD_NAME.fullmatch(name) for name in names)
    return names if is_limited else ALL


def _flag(argument: str | None) -> bool:
    return True


def _max_stale(argument: str | None) -> int:
    return MAX_DELTA if argument is None else _lifetime(argument)


DirectiveParser = Callable[[str | None], object]

_RESPONSE: dict[str, DirectiveParser] = {
    "max-age": _lifetime,
    "s-maxage": _lifetime,
    "stale-while-revalidate": _lifetime,
    "stale-if-error": _lifetime,
    "no-store": _flag,
    "no-cache": _names,
    "private": _names,
    "public": _flag,
    "must-revalidate": _flag,
    "proxy-revalidate": _flag,
    "must-understand": _flag,
}

_REQUEST: dict[str, DirectiveParser] = {
    "max-age": _lifetime,
    "min-fresh": _min_fresh,
    "max-stale": _max_stale,
    "no-cache": _flag,
    "no-store": _flag,
    "only-if-cached": _flag,
    "stale-if-error": _lifetime,
}


def _collect(members: Iterable[Member], readers: dict[str, DirectiveParser]) -> dict[str, object]:
    """Keep the first of repeated directives, a lifetime of zero wherever it is, and the widest of repeated field lists.

    Section 4.2.1 allows using the first lifetime, as Squid, Varnish and Fastly do, or treating the response as stale. A
    lifetime that is zero or unreadable means the latter, for example from a framework behind a server that adds its
    own.
    """
    found: dict[str, object] = {}
    for name, argument in members:
        reader = readers.get(name)
        if reader is None:
            continue
        key, value = name.replace("-", "_"), reader(argument)
        if key not in found or (reader is _lifetime and value == 0):
            found[key] = value
        elif isinstance(value, frozenset):
            found[key] = _union(found[key], value)
    return found


def _union(one: object, other: frozenset[str]) -> frozenset[str]:
    return one | other if isinstance(one, frozenset) and one and other else ALL


@lru_cache(maxsize=1024)
def _parse_response(lines: tuple[str, ...], unread: tuple[str, ...] = ()) -> ResponseDirectives:
    """Parse Cache-Control, and the restricting directives of an invalid targeted field."""
    directives = _directives(lines)
    forbidding = [member for member in _members(_directives(unread)) if member[0] in RESTRICTING]
    found = _collect((*_members(directives), *forbidding), _RESPONSE)
    found["allows_authorization"] = any(map(_allows_authorization, directives))
    return ResponseDirectives(**found)  # type: ignore[arg-type]


@lru_cache(maxsize=1024)
def _parse_request(lines: tuple[str, ...]) -> RequestDirectives:
    return RequestDirectives(**_collect(_members(_directives(lines)), _REQUEST))  # type: ignore[arg-type]


NO_REQUEST_DIRECTIVES = RequestDirectives()


def parse_request(fields: Fields) -> RequestDirectives:
    """Parse a request's Cache-Control; Pragma is ignored (RFC 9111, section 5.4)."""
    lines = fields.lines("cache-control")
    return _parse_request(tuple(lines)) if lines else NO_REQUEST_DIRECTIVES


def parse_response(fields: Fields) -> ResponseDirectives:
    """Parse a response's directives for a shared cache: CDN-Cache-Control if valid, else Cache-Control."""
    targeted = tuple(fields.lines("cdn-cache-control"))
    said = parse_targeted(targeted) if targeted else None
    return said or _parse_response(tuple(fields.lines("cache-control")), targeted)


def parse_targeted(lines: Iterable[str]) -> ResponseDirectives | None:
    """Parse a targeted field (RFC 9213), a Structured Fields dictionary; None if empty or invalid as a whole."""
    try:
        dictionary: Any = http_sf.parse(", ".join(lines).encode("utf-8", "surrogateescape"), tltype="dictionary")
    except ValueError:
        return None
    found: dict[str, object] = {"targeted": True}
    forbidden: dict[str, object] = {}
    for name, (value, parameters) in dictionary.items():
        # A directive turned into a parameter by a semicolon still restricts, as in Cache-Control.
        forbidden |= _collect(((parameter, "") for parameter in parameters if parameter not in PERMITTING), _RESPONSE)
        reader = _RESPONSE.get(name)
        if reader is None:
            continue
        read = _targeted_value(reader, value)
        if read is None:
            return None
        found[name.replace("-", "_")] = read
    found["allows_authorization"] = bool(found.get("public") or found.get("must_revalidate") or "s_maxage" in found)
    return ResponseDirectives(**found | forbidden) if dictionary else None  # type: ignore[arg-type]


def _targeted_value(reader: DirectiveParser, value: object) -> object | None:
    """Parse one member by its directive's type; None if it has another type (RFC 9213, section 2.2)."""
    if reader is _lifetime:
        return max(0, min(value, MAX_DELTA)) if isinstance(value, int) and not isinstance(value, bool) else None
    if reader is _names:
        return ALL if value is True else _names(value) if isinstance(value, str) else None
    return value if isinstance(value, bool) else None
