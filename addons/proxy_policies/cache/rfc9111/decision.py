"""What to do with a request, given what is stored: the one function that decides (RFC 9111, section 4).

    decide(request, candidates, now) -> Hit | Validate | CompletePartial | Miss | Bypass | OnlyIfCached504

Pure: `candidates` are the stored responses under the request's key, `now` is epoch seconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from proxy_policies.cache.rfc9111 import freshness, ranges, validation
from proxy_policies.cache.rfc9111.directives import RequestDirectives, parse_request
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.key import matches
from proxy_policies.fields import Fields


class ForwardReason(StrEnum):
    """Why a request is forwarded to the origin, in the terms of RFC 9211, section 2.2."""

    BYPASS = "bypass"
    METHOD = "method"
    URI_MISS = "uri-miss"
    VARY_MISS = "vary-miss"
    REQUEST = "request"
    STALE = "stale"
    PARTIAL = "partial"


class Request(NamedTuple):
    """A request as the cache sees it; `key` is its target's, from `key.key_of`."""

    method: str
    key: str
    fields: Fields
    has_body: bool = False


class Hit(NamedTuple):
    """Answer from the store."""

    entry: StoredResponse
    age: float
    part: tuple[int, int] | None = None
    """Positions (start, stop) within the stored body; None sends all of it."""
    refresh: bool = False
    """Stale within stale-while-revalidate: answer now, refresh in the background (RFC 5861)."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Validate:
    """Ask the origin whether stored responses are still valid (section 4.3.1); the first entry is the best match."""

    entries: tuple[StoredResponse, ...]
    fields: Fields
    """The request's fields with our validators."""
    why: ForwardReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CompletePartial:
    """Ask the origin for the rest of a partially stored response (section 3.4)."""

    entry: StoredResponse
    fields: Fields


class Miss(NamedTuple):
    """Ask the origin; `fallback` may be sent if that fails."""

    why: ForwardReason
    detail: str = ""
    fallback: StoredResponse | None = None


URI_MISS = Miss(ForwardReason.URI_MISS)


@dataclass(frozen=True, slots=True)
class Bypass:
    """Bypass the cache: neither look up nor store."""

    why: ForwardReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OnlyIfCached504:
    """Answer 504: the request says only-if-cached, and nothing suitable is stored (section 5.2.1.7)."""

    detail: str


Decision = Hit | Validate | CompletePartial | Miss | Bypass | OnlyIfCached504


def decide(request: Request, candidates: Iterable[StoredResponse], now: float) -> Decision:
    """Decide what to do with a request; the numbers in comments are those of section 4's conditions."""
    passed = _uncacheable(request)
    if passed is not None:
        return passed
    asked = parse_request(request.fields)
    if asked.no_store:
        return Bypass(ForwardReason.REQUEST, "no-store")
    decision = _from_stored(request, asked, tuple(candidates), now)
    if asked.only_if_cached and not isinstance(decision, Hit):
        return OnlyIfCached504("only-if-cached")
    return decision


def _uncacheable(request: Request) -> Bypass | None:
    if request.method not in ("GET", "HEAD"):
        return Bypass(ForwardReason.METHOD)
    if request.has_body:
        return Bypass(ForwardReason.REQUEST, "the request has a body")
    if request.fields.has_any(validation.ORIGIN_ONLY):
        name = next(name for name in sorted(validation.ORIGIN_ONLY) if name in request.fields)
        return Bypass(ForwardReason.REQUEST, f"{name} is for the origin")
    return None


def _from_stored(
    request: Request, asked: RequestDirectives, candidates: Sequence[StoredResponse], now: float
) -> Decision:
    # 1. The URI matches, because the store was searched for it.
    if not candidates:
        return URI_MISS
    # 2. The method fits: entries are responses to GET, which answer HEAD too.
    # 3. The request selects the response by Vary.
    suitable = [entry for entry in candidates if matches(entry.vary_key, entry.fields, request.fields)]
    if not suitable:
        return _other_variants(request, candidates)
    # The most recent one is used.
    if len(suitable) > 1:
        suitable.sort(key=lambda entry: (entry.freshness.date, entry.received_at), reverse=True)
    return _whole(request, asked, suitable, now) or _parts(request, asked, suitable, now)


def _other_variants(request: Request, candidates: Sequence[StoredResponse]) -> Decision:
    """Ask with the validators of all variants: the origin may select one of them (section 4.3.1).

    Excluded are personal variants, because an origin may use the same tag for every client's; weak tags, which variants
    in several codings may share; and variants in a coding that the request does not accept.
    """
    tagged = tuple(entry for entry in candidates if _may_be_offered(entry, request))
    if not tagged or request.method != "GET" or "if-none-match" in request.fields:
        return Miss(ForwardReason.VARY_MISS)
    return Validate(tagged, validation.with_tags(request.fields, tagged), ForwardReason.VARY_MISS)


def _may_be_offered(entry: StoredResponse, request: Request) -> bool:
    is_for_all = entry.span is None and not entry.personal
    return is_for_all and ranges.strong_validator(entry) is not None and validation.accepts(request.fields, entry)


def _whole(
    request: Request, asked: RequestDirectives, suitable: Sequence[StoredResponse], now: float
) -> Decision | None:
    entry = next((entry for entry in suitable if entry.span is None), None)
    return None if entry is None else _reuse(request, asked, entry, None, now)


def _parts(request: Request, asked: RequestDirectives, suitable: Sequence[StoredResponse], now: float) -> Decision:
    """Use stored parts: for a range within one of them, or as the beginning of the whole (sections 3.3, 3.4)."""
    if request.method != "GET":
        return Miss(ForwardReason.PARTIAL)
    wanted = ranges.parse_range(request.fields.get("range"))
    for entry in suitable:
        part = ranges.within_span(wanted, entry.span) if wanted and entry.span else None
        if part is not None and ranges.if_range_matches(request.fields, entry, now):
            return _reuse(request, asked, entry, part, now)
    if "range" not in request.fields:
        return _completion(request, asked, suitable, now)
    return Miss(ForwardReason.PARTIAL)


def _completion(request: Request, asked: RequestDirectives, suitable: Sequence[StoredResponse], now: float) -> Decision:
    for entry in suitable:
        rest = ranges.remaining(entry.span) if entry.span else None
        if rest and not any(name in request.fields for name in validation.CONDITIONALS):
            return _complete_or_miss(request, asked, entry, rest, now)
    return Miss(ForwardReason.PARTIAL)


def _complete_or_miss(
    request: Request, asked: RequestDirectives, entry: StoredResponse, rest: str, now: float
) -> CompletePartial | Miss:
    """Ask for the rest if it can be joined, which takes a strong validator.

    If there is no validator at all, ask once, too: the whole that is sent, or then fetched, is stored.
    """
    tag = ranges.strong_validator(entry)
    if tag is not None:
        return CompletePartial(entry, request.fields.replacing("Range", rest).replacing("If-Range", tag))
    if validation.has_validator(entry) or _blocker(entry, asked, entry.age(now)):
        return Miss(ForwardReason.PARTIAL)
    return CompletePartial(entry, request.fields.replacing("Range", rest))


def _reuse(
    request: Request, asked: RequestDirectives, entry: StoredResponse, part: tuple[int, int] | None, now: float
) -> Decision:
    age = entry.age(now)
    # 4. No no-cache, in the response or the request, unless validated; 5. fresh, …
    obstacle = _blocker(entry, asked, age)
    if obstacle is None:
        return Hit(entry, age, part)
    # … or allowed to be stale (section 4.2.4), …
    why, detail = obstacle
    staleness = age - entry.freshness.lifetime
    if why is ForwardReason.STALE:
        if asked.max_stale is not None and staleness <= asked.max_stale and freshness.may_be_stale(entry.freshness):
            return Hit(entry, age, part, detail="max-stale")
        if freshness.stale_while_revalidating(entry.freshness, staleness):
            return Hit(entry, age, part, refresh=True, detail="stale-while-revalidate")
    # … or successfully validated.
    if request.method == "HEAD" or not validation.has_validator(entry):
        return Miss(why, detail, fallback=entry)
    return Validate((entry,), validation.conditional(request.fields, [entry]), why, detail)


def _blocker(entry: StoredResponse, asked: RequestDirectives, age: float) -> tuple[ForwardReason, str] | None:
    """Return why an entry cannot be used without validation; None if it can."""
    facts = entry.freshness
    if facts.requires_validation:
        return ForwardReason.REQUEST, "the response says no-cache"
    if asked.no_cache:
        return ForwardReason.REQUEST, "no-cache"
    if asked.max_age is not None and age > asked.max_age:
        return ForwardReason.REQUEST, f"older than max-age={asked.max_age}"
    left = facts.lifetime - age
    if asked.min_fresh is not None and left < asked.min_fresh:
        return ForwardReason.REQUEST, f"not fresh for min-fresh={asked.min_fresh}"
    return None if left > 0 else (ForwardReason.STALE, "")


def goes_forward(decision: Decision) -> bool:
    """Return whether the request is forwarded to its origin, and its response may be stored."""
    return isinstance(decision, (Miss, Validate, CompletePartial))


def forward_reason(decision: Decision) -> ForwardReason:
    """Return why a request is forwarded; CompletePartial counts as PARTIAL."""
    return decision.why if isinstance(decision, (Miss, Validate, Bypass)) else ForwardReason.PARTIAL


def asked_about(decision: Decision) -> StoredResponse | None:
    """Return the stored response that the origin is asked about; None if there is none, or only other variants."""
    match decision:
        case Validate(why=ForwardReason.VARY_MISS):
            return None
        case Validate(entries=(entry, *_)) | CompletePartial(entry=entry) | Miss(fallback=entry):
            return entry
        case _:
            return None


def fallback(decision: Decision) -> StoredResponse | None:
    """Return the stored response that may be sent if the origin fails."""
    entry = None if isinstance(decision, CompletePartial) else asked_about(decision)
    return None if entry is None or entry.status >= 500 else entry
