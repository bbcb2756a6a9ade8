"""How long a response is fresh, and how old it is (RFC 9111, section 4.2; RFC 5861).

All times are seconds since the epoch; `now` is always an argument.

A single-valued field with several values, or an unreadable one, is interpreted as follows:

    ETag, Last-Modified     no validator, as the right one is unknown (RFC 9110, sections 5.3 and 8.8)
    Expires                 stale (section 4.2.1)
    Date                    several: stale, as the age is unknown; unreadable: the time of receipt (RFC 9110, 6.6.1)
    Age                     the first of several counts; unreadable: none (section 5.1)
"""

import re
from dataclasses import dataclass

from proxy_policies.cache.rfc9111.directives import RequestDirectives, ResponseDirectives, delta_seconds, parse_response
from proxy_policies.fields import Fields, parse_date, split_list

HEURISTIC_STATUS = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})
"""Cacheable by default (RFC 9110, section 15.1)."""
HEURISTIC_FRACTION = 0.1
"""Fraction of the time since Last-Modified: the value that section 4.2.2 calls typical."""
HEURISTIC_LIMIT = 86400.0
"""One day, beyond which section 4.2.2's predecessor required a warning."""
DATED_STRONGLY = 60.0
"""Seconds within which a resource may change but not its Last-Modified, if clocks differ (RFC 7232, 2.2.2)."""
_TAG = re.compile(r'[^\s",]*"[^"]*"|[^\s",]+')
"""One entity tag; also without quotes, or with `w/` for `W/`, which can still be compared."""
STALE_WHEN_DISCONNECTED = 86400.0
"""Seconds past freshness that a response may be sent if the origin fails and has set no window (section 4.2.4)."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Values that a user's rule substitutes for the origin's; None leaves the origin's."""

    ttl: float | None = None
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None
    force: bool = False
    """Store and reuse even if the response says no-store, private or no-cache."""
    share_cookies: bool = False
    """Share responses that set a cookie, or whose request had one, as with `public` in the response."""
    undated_304: bool = False
    """Treat a response without Last-Modified as unmodified since any date that a client names."""


NO_OVERRIDES = Overrides()


@dataclass(frozen=True, slots=True)
class Freshness:
    """The facts on which reuse depends, evaluated once when a response is stored."""

    directives: ResponseDirectives
    lifetime: float
    """Seconds that the response is fresh from its generation; negative if generated stale."""
    heuristic: bool
    initial_age: float
    """`corrected_initial_age`: how old it was when it was received (section 4.2.3)."""
    date: float
    last_modified: float | None
    etag: str | None
    overrides: Overrides = NO_OVERRIDES
    personal: bool = False
    """It set a cookie or its request had one, and nothing says that it may be shared: see `is_shared`."""

    @property
    def requires_validation(self) -> bool:
        """Return whether reuse is forbidden without asking the origin (section 5.2.2.4)."""
        return self.directives.no_cache == frozenset() and not self.overrides.force

    @property
    def forbids_stale(self) -> bool:
        """Return whether the origin forbids stale responses entirely (section 4.2.4)."""
        said = self.directives
        return said.must_revalidate or said.proxy_revalidate or self.requires_validation

    @property
    def is_dated_strongly(self) -> bool:
        """Return whether Last-Modified is a strong validator: well before Date (RFC 9110, section 8.8.2.2)."""
        return self.last_modified is not None and self.date - self.last_modified >= DATED_STRONGLY

    @property
    def stale_while_revalidate(self) -> float:
        """Seconds past freshness that the response may be sent while it is refreshed (RFC 5861, section 3)."""
        rule = self.overrides.stale_while_revalidate
        return rule if rule is not None else float(self.directives.stale_while_revalidate or 0)

    @property
    def stale_if_error(self) -> float | None:
        """Seconds past freshness that the response may be sent in place of an error; None if not set."""
        rule, said = self.overrides.stale_if_error, self.directives.stale_if_error
        return rule if rule is not None else None if said is None else float(said)


def is_shared(said: ResponseDirectives, overrides: Overrides) -> bool:
    """Return whether `public` (section 5.2.2.9) or a rule allows sharing a response with cookies."""
    return said.public or overrides.share_cookies


def evaluate(
    status: int,
    fields: Fields,
    requested_at: float,
    received_at: float,
    overrides: Overrides = NO_OVERRIDES,
    personal: bool = False,
) -> Freshness:
    """Evaluate a response's freshness; the times are those of its request and of the receipt of its head."""
    directives = parse_response(fields)
    date = _date(fields, received_at)
    last_modified = _parse(fields, "last-modified", received_at)
    lifetime, heuristic = _lifetime(status, fields, directives, date, last_modified, received_at, overrides)
    if heuristic and personal:
        lifetime = 0.0  # no heuristic for a response that may be personal (section 7.3)
    return Freshness(
        directives,
        lifetime,
        heuristic,
        _initial_age(fields, date, requested_at, received_at),
        date,
        last_modified,
        read_etag(fields),
        overrides,
        personal,
    )


def read_etag(fields: Fields) -> str | None:
    """Return ETag; None if it is absent or unreliable."""
    value = (fields.single("etag") or "").strip()
    return value if _TAG.fullmatch(value) else None


def _parse(fields: Fields, name: str, now: float) -> float | None:
    value = fields.single(name)
    return None if value is None else parse_date(value, now)


def _date(fields: Fields, received_at: float) -> float:
    """Return Date; if missing or unreadable, the time of receipt (RFC 9110, section 6.6.1)."""
    parsed = _parse(fields, "date", received_at)
    return received_at if parsed is None else parsed


def _lifetime(
    status: int,
    fields: Fields,
    said: ResponseDirectives,
    date: float,
    last_modified: float | None,
    received_at: float,
    overrides: Overrides,
) -> tuple[float, bool]:
    """Compute `freshness_lifetime` (section 4.2.1), and whether it is heuristic."""
    # 0. The user's rule.
    if overrides.ttl is not None:
        return overrides.ttl, False
    if "date" in fields and fields.single("date") is None:
        return 0.0, False
    # 1. s-maxage, as this cache is shared.  2. max-age.
    for seconds in (said.s_maxage, said.max_age):
        if seconds is not None:
            return float(seconds), False
    # 3. Expires minus Date; an unreadable one, such as `0`, is in the past (section 5.3).
    if "expires" in fields and not said.targeted:
        expires = _parse(fields, "expires", received_at)
        return (0.0 if expires is None else expires - date), False
    # 4. A heuristic (section 4.2.2).
    if status in HEURISTIC_STATUS or said.public:
        return _heuristic(date, last_modified), True
    return 0.0, False


def _heuristic(date: float, last_modified: float | None) -> float:
    if last_modified is None:
        return 0.0
    return max(0.0, min((date - last_modified) * HEURISTIC_FRACTION, HEURISTIC_LIMIT))


def _age_value(fields: Fields) -> int:
    """Return Age's first member; 0 if that is not delta-seconds (section 5.1)."""
    said = fields.get("age")
    members = split_list(said) if said else ()
    return (delta_seconds(members[0]) or 0) if members else 0


def _initial_age(fields: Fields, date: float, requested_at: float, received_at: float) -> float:
    apparent = max(0.0, received_at - date) if received_at - date >= 1 else 0.0  # Date has whole seconds
    corrected = _age_value(fields) + max(0.0, received_at - requested_at)
    return max(apparent, corrected)


def current_age(freshness: Freshness, received_at: float, now: float) -> float:
    """Compute `current_age` (section 4.2.3).

    A clock set back adds the same time: the true age is unknown, and freshness must not be prolonged.
    """
    return freshness.initial_age + abs(now - received_at)


def may_be_stale(freshness: Freshness) -> bool:
    """Return whether staleness may be accepted at all, for a request's max-stale or an unreachable origin.

    s-maxage forbids it as proxy-revalidate does (section 5.2.2.10); so does a response that may be personal.
    """
    return not (freshness.forbids_stale or freshness.personal) and freshness.directives.s_maxage is None


def stale_while_revalidating(freshness: Freshness, staleness: float) -> bool:
    """Return whether a response this stale may be sent while it is refreshed.

    A window beside s-maxage counts, as with every CDN, though section 5.2.2.10 by itself would void it.
    """
    return not freshness.forbids_stale and 0 < freshness.stale_while_revalidate >= staleness


def stale_on_error(freshness: Freshness, staleness: float, request: RequestDirectives) -> bool:
    """Return whether a response this stale may replace a failure (RFC 5861, section 4; RFC 9111, section 4.2.4)."""
    if freshness.forbids_stale or request.no_cache:
        return False
    asked = None if freshness.personal else request.stale_if_error
    windows = [window for window in (freshness.stale_if_error, asked) if window is not None]
    if windows:
        return staleness <= max(windows)
    return may_be_stale(freshness) and staleness <= STALE_WHEN_DISCONNECTED
