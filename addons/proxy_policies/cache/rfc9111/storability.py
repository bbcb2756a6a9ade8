"""Whether a response may be stored, and with which fields (RFC 9111, section 3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urljoin

from proxy_policies.cache.rfc9111 import ranges
from proxy_policies.cache.rfc9111.directives import RequestDirectives, ResponseDirectives, parse_response
from proxy_policies.cache.rfc9111.freshness import HEURISTIC_STATUS, NO_OVERRIDES, Freshness, Overrides, is_shared
from proxy_policies.cache.rfc9111.key import url_of, vary_names
from proxy_policies.fields import Fields, parse_length, tokens

UNDERSTOOD_STATUS = HEURISTIC_STATUS | {302, 303, 307, 400, 401, 402, 403, 406, 409, 415, 422, 451, 500, 502, 503, 504}
"""Statuses whose caching requirements are implemented, as must-understand requires (section 5.2.2.3)."""

NEVER_STORED_STATUS = frozenset(
    {
        226,  # a delta to the client's own copy (RFC 3229)
        304,  # updates what is stored
        412, 416, 417,  # one request's condition, range or expectation
        407, 408, 421, 425, 426,  # its connection: credentials, time, host, early data, protocol
        428, 429, 431, 511,  # one client (RFC 6585, sections 3 to 6: "MUST NOT be stored by a cache")
        494, 495, 496, 497,  # nginx's own: one client's fields, its certificate, its lack of TLS
    }
)  # fmt: skip
"""Statuses about one request, connection or client, and not a representation of the resource."""

DATED_BY_RULES_STATUS = frozenset({200, 203, 301, 302, 308, 404, 410})
"""Statuses to which a rule's ttl= applies without a status=: otherwise an error for one client's broken request would
be sent to all. nginx's proxy_cache_valid is for 200, 301, 302; Varnish's default_ttl also for 300, 307."""

COOKIE_FIELDS = ("set-cookie", "set-cookie2")

NOT_STORED = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "trailer",
        "proxy-authenticate", "proxy-authentication-info", "proxy-authorization",
    }
)  # fmt: skip
"""Fields of one connection or one hop (section 3.1). Via stays: it records the response's path."""

FOR_ONE_REQUEST = (
    "authentication-info",  # its meaning comes from the request's Authorization (RFC 9110, section 11.6.3)
    "dpop-nonce",  # a later request must not get a nonce that is no longer valid (RFC 9449, section 8)
    "replay-nonce",  # a client uses each once (RFC 8555, section 6.5)
)
"""Fields about the credentials of the one request that a response answers.

Others stay, as section 3.1 demands: what Clear-Site-Data, NEL or Alt-Svc say is the origin's to all its clients.
"""


class StorageContext(NamedTuple):
    """What storing depends on besides the response: its request, and the user's rules."""

    method: str
    key: str
    request: Fields
    asked: RequestDirectives
    strict: bool = False
    overrides: Overrides = NO_OVERRIDES

    def is_personal(self, response: Fields, said: ResponseDirectives) -> bool:
        """Return whether a response sets a cookie, or its request had one, and nothing allows sharing it."""
        return ("cookie" in self.request or sets_cookie(response)) and not is_shared(said, self.overrides)


def sets_cookie(response: Fields) -> bool:
    """Return whether a response sets a cookie."""
    return "set-cookie" in response or "set-cookie2" in response


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to store, and why; false in a boolean context if not."""

    store: bool
    why: str

    def __bool__(self) -> bool:
        return self.store


def may_store(exchange: StorageContext, status: int, response: Fields, read: Callable[[], Freshness]) -> Verdict:
    """Decide whether a complete final response may be stored; numbered as section 3 lists its conditions.

    `read` evaluates the response's freshness, which is not needed if its directives forbid storing.
    """
    said = parse_response(response)
    refusal = (
        _method(exchange, response, read)
        or _status(status, said)
        or (_part(exchange, response) if status == 206 else "")
        or _directives(exchange, said)
        or _authorization(exchange, said)
        or (_caution(exchange, response, said) if exchange.strict else "")
        or ("Vary: *" if vary_names(response) is None else "")
    )
    if refusal:
        return Verdict(False, refusal)
    facts = read()
    useless = _never_reusable(facts)
    return Verdict(False, useless) if useless else Verdict(True, _because(facts))


def _method(exchange: StorageContext, response: Fields, read: Callable[[], Freshness]) -> str:
    """1. The method is understood: GET, and POST where RFC 9110, section 9.3.3, allows it."""
    if exchange.method == "GET":
        return ""
    location = response.get("content-location") if exchange.method == "POST" else None
    url = url_of(exchange.key)
    if location is not None and _is_explicit(read()) and urljoin(url, location) == url:
        return ""
    return f"{exchange.method} is not stored"


def _is_explicit(facts: Freshness) -> bool:
    return not facts.heuristic and facts.lifetime > 0


def _status(status: int, said: ResponseDirectives) -> str:
    """2. The status is final; 3. and understood where that matters."""
    if status < 200 or status in NEVER_STORED_STATUS:
        return f"status {status} is not stored"
    understood = status in UNDERSTOOD_STATUS
    if said.must_understand and not understood:
        return f"must-understand, and status {status} is not"
    return ""


def declared_length(response: Fields) -> int | None:
    """Return the number in Content-Length; None if there is none."""
    return parse_length(response.get("content-length"))


def _part(exchange: StorageContext, response: Fields) -> str:
    """Return what is wrong with a 206: an origin that sends one unasked would do so again for the rest or the whole."""
    if "range" not in exchange.request:
        return "206 to a request without Range"
    is_described = ranges.describes(response.get("content-range"), declared_length(response))
    return "" if is_described else "206 without a Content-Range that describes its body"


def _directives(exchange: StorageContext, said: ResponseDirectives) -> str:
    """4. no-store is absent (must-understand voids it); 5. private is absent, or names fields only."""
    if exchange.asked.no_store:
        return "the request says no-store"
    if exchange.overrides.force:
        return ""
    if said.no_store and not said.must_understand:
        return "no-store"
    return "private" if said.private == frozenset() else ""


def _authorization(exchange: StorageContext, said: ResponseDirectives) -> str:
    """6. A response to an authenticated request needs permission to be shared (section 3.5)."""
    leave = said.allows_authorization or exchange.overrides.force
    return "" if leave or "authorization" not in exchange.request else "the request had Authorization"


def _caution(exchange: StorageContext, response: Fields, said: ResponseDirectives) -> str:
    """Apply `cache_strict`: a response with cookies is not stored at all unless sharing is allowed."""
    if not exchange.is_personal(response, said):
        return ""
    which = "the response sets a cookie" if sets_cookie(response) else "the request had a cookie"
    return f"cache_strict: {which}"


def _never_reusable(facts: Freshness) -> str:
    """7. It can be reused: it has an explicit or heuristic lifetime, or a validator."""
    windows = facts.stale_while_revalidate or facts.stale_if_error
    reusable = facts.lifetime > 0 or windows or facts.etag or facts.last_modified is not None
    return "" if reusable else "neither freshness nor a validator"


def _because(facts: Freshness) -> str:
    kind = "guessed to be fresh" if facts.heuristic else "fresh"
    return f"{kind} for {facts.lifetime:.0f} s" if facts.lifetime > 0 else "to be validated"


def end_to_end(response: Fields) -> Fields:
    """Return the fields without hop-by-hop fields (section 3.1)."""
    listed = {name for line in response.lines("connection") for name in tokens(line)}
    return response.without(NOT_STORED | listed)


def stored_fields(response: Fields, said: ResponseDirectives, overrides: Overrides = NO_OVERRIDES) -> Fields:
    """Return the fields to store: none for one hop or one request, none that no-cache or private name, and no cookies.

    Cookies stay if `public` or a rule allows sharing them. Squid always removes them from hits; nginx, Varnish and
    Fastly do not store responses that set one.
    """
    named = (said.no_cache or frozenset()) | (said.private or frozenset())
    cookies = () if is_shared(said, overrides) else COOKIE_FIELDS
    return end_to_end(response).without(named.union(cookies, FOR_ONE_REQUEST))
