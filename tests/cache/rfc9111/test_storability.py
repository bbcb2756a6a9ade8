"""RFC 9111, section 3: what may be stored."""

from dataclasses import dataclass

import pytest
from tests.support.cache_cases import KEY, NOW, fields

from proxy_policies.cache.rfc9111.directives import parse_request, parse_response
from proxy_policies.cache.rfc9111.freshness import NO_OVERRIDES, Freshness, Overrides, evaluate
from proxy_policies.cache.rfc9111.storability import StorageContext, may_store, stored_fields

MAX_AGE = "Cache-Control: max-age=60"


@dataclass
class Case:
    id: str
    response: tuple[str, ...]
    expected: bool
    request: tuple[str, ...] = ()
    status: int = 200
    method: str = "GET"
    strict: bool = False
    overrides: Overrides = NO_OVERRIDES


CASES = [
    Case("max-age", (MAX_AGE,), True),
    Case("s-maxage", ("Cache-Control: s-maxage=60",), True),
    Case("Expires", ("Expires: @60",), True),
    Case("a guess", ("Last-Modified: @-60",), True),
    Case("a validator alone", ('ETag: "a"',), True),
    Case("neither freshness nor validator", (), False),
    Case("born stale, nothing to it", ("Cache-Control: max-age=0",), False),
    Case("born stale, to be validated", ("Cache-Control: max-age=0", 'ETag: "a"'), True),
    Case("born stale, with a window", ("Cache-Control: max-age=0, stale-if-error=60",), True),
    Case("no-cache, to be validated", ("Cache-Control: no-cache", 'ETag: "a"'), True),
    Case("no-store", ("Cache-Control: max-age=60, no-store",), False),
    Case("the request's no-store", (MAX_AGE,), False, ("Cache-Control: no-store",)),
    Case("private", ("Cache-Control: private, max-age=60",), False),
    Case("private fields", ('Cache-Control: private="x", max-age=60',), True),
    Case("must-understand, understood", ("Cache-Control: no-store, must-understand, max-age=60",), True),
    Case("must-understand, not", ("Cache-Control: must-understand, max-age=60",), False, status=299),
    Case("an unknown status", (MAX_AGE,), True, status=299),
    Case("404", (MAX_AGE,), True, status=404),
    Case("304", (MAX_AGE,), False, status=304),
    *(
        Case(f"{status}, whatever it says", ("Cache-Control: public, max-age=60",), False, status=status)
        for status in (226, 407, 408, 412, 416, 417, 421, 425, 426, 428, 429, 431, 494, 497, 511)
    ),
    *(Case(f"{status}", (MAX_AGE,), True, status=status) for status in (400, 401, 403, 405, 451, 500, 503)),
    Case("interim", (MAX_AGE,), False, status=103),
    Case("206", (MAX_AGE, "Content-Range: bytes 0-1/2"), True, ("Range: bytes=0-1",), status=206),
    Case("206 that nobody asked for", (MAX_AGE, "Content-Range: bytes 0-1/2"), False, status=206),
    Case("206 without Content-Range", (MAX_AGE,), False, ("Range: bytes=0-1",), status=206),
    *(
        Case(f"206 with {lines}", (MAX_AGE, *lines), False, ("Range: bytes=0-1",), status=206)
        for lines in (
            ("Content-Range: bytes 5-0/5",),
            ("Content-Range: lines 0-1/2",),
            ("Content-Range: bytes 0-1/2", "Content-Range: bytes 2-3/4"),
            ("Content-Range: bytes 0-9/10", "Content-Length: 5"),
        )
    ),
    Case("Vary: *", (MAX_AGE, "Vary: *"), False),
    Case("Authorization", (MAX_AGE,), False, ("Authorization: x",)),
    Case("Authorization and public", ("Cache-Control: max-age=60, public",), True, ("Authorization: x",)),
    Case("Authorization and s-maxage", ("Cache-Control: s-maxage=60",), True, ("Authorization: x",)),
    Case("Authorization and must-revalidate", (f"{MAX_AGE}, must-revalidate",), True, ("Authorization: x",)),
    Case("Set-Cookie", (MAX_AGE, "Set-Cookie: a=b"), True),
    Case("strict: Set-Cookie", (MAX_AGE, "Set-Cookie: a=b"), False, strict=True),
    Case("a guess, and Set-Cookie", ("Last-Modified: @-60", "Set-Cookie: a=b"), True),
    Case(
        "strict, shared by a rule",
        (MAX_AGE, "Set-Cookie: a=b"),
        True,
        strict=True,
        overrides=Overrides(share_cookies=True),
    ),
    Case("strict: Cookie", (MAX_AGE,), False, ("Cookie: a=b",), strict=True),
    Case("strict: public", (f"{MAX_AGE}, public", "Set-Cookie: a=b"), True, ("Cookie: a=b",), strict=True),
    Case("HEAD", (MAX_AGE,), False, method="HEAD"),
    Case("POST", (MAX_AGE,), False, method="POST"),
    Case("POST at its own location", (MAX_AGE, "Content-Location: /"), True, method="POST"),
    Case("POST at another location", (MAX_AGE, "Content-Location: /x"), False, method="POST"),
    Case("POST by a guess", ("Last-Modified: @-60", "Content-Location: /"), False, method="POST"),
    Case("a rule's force", ("Cache-Control: no-store, private, max-age=9",), True, overrides=Overrides(force=True)),
    Case("a rule's ttl", (), True, overrides=Overrides(ttl=60)),
    Case("a rule's ttl is no force", ("Cache-Control: private",), False, overrides=Overrides(ttl=60)),
    Case("CDN-Cache-Control wins", ("Cache-Control: no-store", "CDN-Cache-Control: max-age=9"), True),
    Case("CDN-Cache-Control: no-store", (MAX_AGE, "CDN-Cache-Control: no-store"), False),
    # Cache deception: a private page under a static-looking path is what its directives say it is.
    Case("an account page named like a style sheet", ("Cache-Control: private", "Content-Type: text/css"), False),
    Case("no directive, whatever it is called", ("Content-Type: text/css",), False),
]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_may_store(case: Case) -> None:
    request, response = fields(*case.request), fields(*case.response)
    exchange = StorageContext(case.method, KEY, request, parse_request(request), case.strict, case.overrides)
    verdict = may_store(
        exchange, case.status, response, lambda: evaluate(case.status, response, NOW, NOW, case.overrides)
    )
    assert bool(verdict) is case.expected, verdict.why
    assert verdict.why


def test_what_may_not_be_stored_is_not_read_for_its_dates() -> None:
    def read() -> Freshness:
        raise AssertionError

    request, response = fields(), fields("Cache-Control: no-store", "Date: today")
    assert not may_store(StorageContext("GET", KEY, request, parse_request(request)), 200, response, read)


COOKIES: list[tuple[str, Overrides, list[str]]] = [
    ("max-age=60", NO_OVERRIDES, []),
    ("max-age=60", Overrides(force=True), []),
    ("max-age=60", Overrides(share_cookies=True), ["Set-Cookie", "Set-Cookie2"]),
    ("max-age=60, public", NO_OVERRIDES, ["Set-Cookie", "Set-Cookie2"]),
    ('max-age=60, public, no-cache="set-cookie"', NO_OVERRIDES, ["Set-Cookie2"]),
    ('max-age=60, public, private="Set-Cookie, set-cookie2"', NO_OVERRIDES, []),
    ('max-age=60, private="x"', NO_OVERRIDES, []),
]


@pytest.mark.parametrize(("said", "overrides", "kept"), COOKIES)
def test_cookies_are_stored_only_if_shared(said: str, overrides: Overrides, kept: list[str]) -> None:
    response = fields("Set-Cookie: a=b", "Set-Cookie2: c=d", f"Cache-Control: {said}")
    names = [name for name, _ in stored_fields(response, parse_response(response), overrides)]
    assert names == [*kept, "Cache-Control"]


def test_what_is_left_out() -> None:
    response = fields(
        "Connection: a, close", "A: 1", "B: 2", "C: 3", "D: 4", "Keep-Alive: x", "TE: x", "Upgrade: x", "Trailer: x",
        "Proxy-Authenticate: x", "Proxy-Authentication-Info: x", "Transfer-Encoding: chunked",
        "Authentication-Info: nextnonce=x", "DPoP-Nonce: x", "Replay-Nonce: x", "Clear-Site-Data: \"cache\"",
        'Cache-Control: public, no-cache="b", private="c"',
    )  # fmt: skip
    kept = stored_fields(response, parse_response(response))
    assert [name for name, _ in kept] == ["D", "Clear-Site-Data", "Cache-Control"]
