"""Stored responses and requests for tests of the cache, made from a few lines."""

from proxy_policies.cache.rfc9111.decision import Request
from proxy_policies.cache.rfc9111.entry import Span, StoredResponse
from proxy_policies.cache.rfc9111.freshness import NO_OVERRIDES, Overrides
from proxy_policies.cache.rfc9111.key import vary_key, vary_names
from proxy_policies.fields import Fields, format_date

NOW = 1_800_000_000.0
KEY = "http://example.test/"


def fields(*lines: str) -> Fields:
    """Make fields of `Name: value` lines; `Name: @-60` is a date that many seconds from NOW."""
    pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Fields.of(
        *((name, format_date(NOW + float(value[1:])) if value.startswith("@") else value) for name, value in pairs)
    )


def stored(
    *lines: str,
    age: float = 0,
    status: int = 200,
    request: tuple[str, ...] = (),
    size: int = 10,
    span: Span | None = None,
    overrides: Overrides = NO_OVERRIDES,
    key: str = KEY,
    id: str = "1",
) -> StoredResponse:
    """Make a response stored `age` seconds before NOW for a request with these fields."""
    response = fields(*lines)
    names = vary_names(response) or ()
    at = NOW - age
    return StoredResponse(
        key, status, "OK", response, vary_key(names, fields(*request)), at, at, size, id, span, overrides=overrides
    )


def asked(*lines: str, method: str = "GET", has_body: bool = False, key: str = KEY) -> Request:
    """Make a request."""
    return Request(method, key, fields(*lines), has_body)
