"""What to do with an origin's response: the one function that decides (RFC 9111, sections 3 and 4.3).

    decide_response(exchange, head, now) -> ServeStale | Freshen | Join | Refetch | StoreResponse | DontStore

Pure: the stored responses are in the decision that forwarded the request, `now` is epoch seconds. A 304, a response to
HEAD, or the rest of a stored beginning is combined with the stored response, and judged like a new response.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from proxy_policies.cache.rfc9111 import freshness, ranges, storability, validation
from proxy_policies.cache.rfc9111.decision import (
    Bypass,
    CompletePartial,
    Decision,
    ForwardReason,
    Request,
    Validate,
    asked_about,
    fallback,
    forward_reason,
)
from proxy_policies.cache.rfc9111.directives import parse_request, parse_response
from proxy_policies.cache.rfc9111.entry import Span, StoredResponse
from proxy_policies.cache.rfc9111.freshness import NO_OVERRIDES, Overrides
from proxy_policies.cache.rfc9111.key import vary_key, vary_names
from proxy_policies.cache.rfc9111.selectors import tags_of
from proxy_policies.cache.rfc9111.storability import declared_length, may_store, sets_cookie, stored_fields
from proxy_policies.fields import Fields, format_date, split_tags

FAILURES = frozenset({500, 502, 503, 504})
"""The errors of RFC 5861, section 4."""


class ResponseHead(NamedTuple):
    """The head of an origin's final response."""

    status: int
    reason: str
    fields: Fields


class ResponseContext(NamedTuple):
    """What a decision depends on besides the response."""

    request: Request
    """As the client sent it, without our validators."""
    decision: Decision
    """Why the request was forwarded, with the stored responses."""
    asked_at: float
    overrides_for: Callable[[int], Overrides] | None
    """The overrides by the user's rules for a status; None: no rule matches."""
    max_object: int
    """Bytes of the largest body stored."""
    id: str
    """The id of a new entry."""
    strict: bool = False
    sent_elsewhere: bool = False
    """Another addon redirected the request, so its key does not match."""


@dataclass(frozen=True, slots=True)
class ServeStale:
    """Send a stale response in place of a failure (RFC 5861, section 4; RFC 9111, section 4.2.4)."""

    entry: StoredResponse


@dataclass(frozen=True, slots=True)
class Freshen:
    """Update a stored response, and answer from it (sections 4.3.4 and 4.3.5)."""

    old: StoredResponse
    new: StoredResponse | None
    """The entry to store; None: the update may not be stored, so the old entry is removed."""
    shown: StoredResponse
    """The response for this client, including fields of the update that must not be stored."""
    why: str
    has_body: bool = True
    """False for a response to HEAD."""


@dataclass(frozen=True, slots=True)
class Join:
    """Send a stored beginning followed by the received rest (section 3.4)."""

    entry: StoredResponse
    head: ResponseHead
    """The head of the whole."""
    then: "StoreResponse | DontStore"


@dataclass(frozen=True, slots=True)
class Refetch:
    """Ask again without our conditions: the response answers them, but matches no stored response."""


@dataclass(frozen=True, slots=True)
class StoreResponse:
    """Pass the response on, and store it; its size is known at its end."""

    entry: StoredResponse
    why: str
    removes: StoredResponse | None = None
    """A stored response that this one replaces, to be removed once this one is complete."""


class DontStore(NamedTuple):
    """Pass the response on without storing it."""

    why: str
    removes: StoredResponse | None = None
    """The same."""


ResponseDecision = ServeStale | Freshen | Join | Refetch | StoreResponse | DontStore


def decide_response(exchange: ResponseContext, head: ResponseHead, now: float) -> ResponseDecision:
    """Decide what to do with a final response."""
    stale = _stale_in_place(exchange, head, now)
    if stale is not None:
        return ServeStale(stale)
    return _after_question(exchange, head, now) or _replacing(exchange, head, decide_storing(exchange, head, now))


def _after_question(exchange: ResponseContext, head: ResponseHead, now: float) -> ResponseDecision | None:
    """Decide about a response to a request concerning stored responses; None for any other."""
    match exchange.decision:
        case Validate() if head.status == 304:
            return _after_304(exchange, exchange.decision, head.fields, now)
        case CompletePartial(entry=entry) if head.status in (206, 416):
            return _after_rest(exchange, entry, head, now)
        case _ if exchange.request.method == "HEAD" and head.status == 200:
            return _after_head(exchange, fallback(exchange.decision), head.fields, now)
        case _:
            return None


def _replacing(
    exchange: ResponseContext, head: ResponseHead, decided: StoreResponse | DontStore
) -> StoreResponse | DontStore:
    """Remove the stored response that the origin was asked about, and in whose place it sent another (section 4.3.3).

    Otherwise it would be used while fresh, or within its windows for stale responses, if the other is not stored, or
    under other values of Vary. Squid and Apache remove it, too.
    """
    old = asked_about(exchange.decision)
    if old is None or exchange.sent_elsewhere or not _is_another(exchange, head.status):
        return decided
    return replace(decided, removes=old) if isinstance(decided, StoreResponse) else decided._replace(removes=old)


def _is_another(exchange: ResponseContext, status: int) -> bool:
    """Return whether a status says that the stored response is outdated: errors about one request do not."""
    if status in (206, 304):  # a part, or the client's copy; without our condition, it may be of what is stored
        return isinstance(exchange.decision, Validate)
    return 200 <= status < 400 or status in (404, 410)


# A failing origin


def stale_on_failure(request: Request, decision: Decision, now: float) -> StoredResponse | None:
    """Return the stored response that may be sent in place of a failure; None if there is none."""
    entry = fallback(decision)
    if entry is None or not freshness.stale_on_error(entry.freshness, -entry.ttl(now), parse_request(request.fields)):
        return None
    return entry


def _stale_in_place(exchange: ResponseContext, head: ResponseHead, now: float) -> StoredResponse | None:
    return stale_on_failure(exchange.request, exchange.decision, now) if head.status in FAILURES else None


# Section 4.3.3: handling a validation response


def _after_304(exchange: ResponseContext, decision: Validate, fields: Fields, now: float) -> Freshen | Refetch | None:
    """Update the entry that a 304 is about; None if it is about the client's copy, and is passed on."""
    own_tags = exchange.request.fields.get("if-none-match")
    is_variant = decision.why is ForwardReason.VARY_MISS
    entry = validation.select_for_304(decision.entries, fields, own_tags, now, is_variant=is_variant)
    if entry is None:
        return None if validation.is_about_own_copy(fields, own_tags) else Refetch()
    if exchange.sent_elsewhere:
        return Refetch()
    freshen = _freshen(exchange, entry, fields, now)
    return _of_variant(freshen) if is_variant else freshen


def _of_variant(freshen: Freshen) -> Freshen:
    """Update a variant stored for another request with only the freshness fields of a 304.

    Other fields, such as Access-Control-Allow-Origin, depend on this request; if Vary has changed, it is unknown which
    requests the stored response is for.
    """
    old, shown, new = freshen.old, freshen.shown, freshen.new
    if new is None or [name for name, _ in new.vary_key] != [name for name, _ in old.vary_key]:
        return replace(freshen, new=None)
    lines = [line for line in old.fields.raw if line[0].lower() not in validation.FRESHENING]
    lines += [line for line in shown.fields.raw if line[0].lower() in validation.FRESHENING]
    fields = stored_fields(Fields(lines), parse_response(shown.fields), new.overrides)
    return replace(freshen, new=new.replace(fields=fields, tags=old.tags))


def described_by_304(exchange: ResponseContext, fields: Fields, now: float) -> StoredResponse | None:
    """Return the whole that a 304 to a client's own condition describes; None unless that could be stored.

    It has the fields of the corresponding 200 (RFC 9110, section 15.4.5); without a tag, the client's single tag;
    without a date, it was not modified since the client's.
    """
    asked = exchange.request.fields
    tags, since = split_tags(asked.get("if-none-match") or ""), asked.get("if-modified-since")
    if "etag" not in fields and len(tags) == 1:
        fields = fields.adding("ETag", tags[0])
    is_undated = "last-modified" not in fields and since is not None
    dated = fields.adding("Last-Modified", since) if is_undated and since else fields
    decided = decide_storing(exchange, ResponseHead(200, "OK", dated), now)
    if not isinstance(decided, StoreResponse):
        return None
    entry = decided.entry.replace(overrides=replace(decided.entry.overrides, undated_304=True))
    return entry.replace(fields=entry.fields.without(["last-modified"])) if is_undated else entry


def described_by_head(exchange: ResponseContext, head: ResponseHead, now: float) -> StoredResponse | None:
    """Return the response that a response to HEAD describes; None unless that could be stored."""
    as_get = exchange._replace(request=exchange.request._replace(method="GET"))
    decided = decide_storing(as_get, head, now)
    return decided.entry if isinstance(decided, StoreResponse) else None


def _after_head(
    exchange: ResponseContext, entry: StoredResponse | None, fields: Fields, now: float
) -> Freshen | DontStore | None:
    """Update the entry that a 200 to HEAD still describes (section 4.3.5); remove it if not, or if not for all.

    An entry with a validator stays as it is unless the HEAD confirms one: a conditional GET does, and many applications
    (Django's ConditionalGetMiddleware) make an entity tag of a body, which they do not have for a HEAD.
    """
    if entry is None or exchange.sent_elsewhere:
        return None
    if not validation.head_agrees(entry, fields):
        return DontStore("HEAD describes another response", removes=entry)
    freshen = _freshen(exchange, entry, fields, now)
    if freshen.new is None:
        return DontStore(freshen.why, removes=entry)
    if validation.has_validator(entry) and validation.agreement(entry, fields, now) is validation.Agreement.UNSAID:
        return DontStore("HEAD has no validator")
    return replace(freshen, has_body=False)


def _freshen(exchange: ResponseContext, old: StoredResponse, fields: Fields, now: float) -> Freshen:
    """Combine an update with the stored response, and judge the result as a new response."""
    shown = validation.updated_by(old, fields, exchange.asked_at, now)
    status = 200 if old.span else old.status  # a part may be stored if the whole may be
    shown = shown.replace(overrides=_overrides(exchange, status, shown.fields, now))
    context = _storing_exchange(exchange, "GET", shown.overrides)
    new = _renewed(context, shown)
    verdict = may_store(context, status, shown.fields, lambda: new.freshness)
    return Freshen(old, new if verdict else None, shown, verdict.why)


def _renewed(context: storability.StorageContext, shown: StoredResponse) -> StoredResponse:
    """Return the entry to store for an update; Vary and tags are evaluated again.

    If Vary names the same fields, their values stay: the update may be for another variant's request.
    """
    said, names = parse_response(shown.fields), vary_names(shown.fields) or ()
    is_same = names == tuple(name for name, _ in shown.vary_key)
    return shown.replace(
        fields=stored_fields(shown.fields, said, shown.overrides),
        vary_key=shown.vary_key if is_same else vary_key(names, context.request),
        tags=tags_of(shown.fields),
        personal=context.is_personal(shown.fields, said)
        or (shown.personal and not freshness.is_shared(said, shown.overrides)),
    )


# Section 3.4: combining partial content


def _after_rest(exchange: ResponseContext, entry: StoredResponse, head: ResponseHead, now: float) -> Join | Refetch:
    """Join a beginning and its rest, if they are provably of one whole."""
    whole = _continued(entry, head.fields)
    if whole is None or exchange.sent_elsewhere:
        return Refetch()
    shown = validation.updated_by(entry, head.fields, exchange.asked_at, now)
    fields = shown.fields.without(["content-range"]).replacing("Content-Length", str(whole.size))
    joined = ResponseHead(200, "OK", fields)
    then = decide_storing(exchange, joined, now)
    if (
        isinstance(then, StoreResponse)
        and entry.personal
        and not freshness.is_shared(parse_response(fields), entry.overrides)
    ):
        then = replace(then, entry=then.entry.replace(personal=True))
    return Join(entry, joined, then)


def _continued(entry: StoredResponse, fields: Fields) -> Span | None:
    """Return the span of a stored beginning and its continuation; None unless provably of one whole."""
    tag, held = ranges.strong_validator(entry), entry.span
    rest = ranges.parse_content_range(fields.get("content-range"), declared_length(fields) or 0)
    if held is None or rest is None or tag is None or fields.get("etag") != tag or validation.recodes(entry, fields):
        return None
    ends = rest.first == held.last + 1 and rest.last + 1 == rest.length == held.length
    return Span(0, rest.last, rest.length) if ends else None


# Section 3: storing


def decide_storing(exchange: ResponseContext, head: ResponseHead, now: float) -> StoreResponse | DontStore:
    """Decide whether to store a response that is passed on."""
    refused = _refusal(exchange, head.fields)
    if refused:
        return DontStore(refused)
    status, fields = head.status, head.fields
    context = _storing_exchange(exchange, exchange.request.method, _overrides(exchange, status, fields, now))

    def evaluate() -> freshness.Freshness:
        personal = context.is_personal(fields, parse_response(fields))
        return freshness.evaluate(status, fields, exchange.asked_at, now, context.overrides, personal)

    verdict = may_store(context, status, fields, evaluate)
    if not verdict.store:
        return DontStore(verdict.why)
    personal = context.is_personal(fields, parse_response(fields))
    return StoreResponse(_entry(exchange, head, context.overrides, personal, now), verdict.why)


def _refusal(exchange: ResponseContext, fields: Fields) -> str:
    """Return a reason not to store a response other than those of section 3; "" if none."""
    if isinstance(exchange.decision, Bypass) and not _is_post(exchange):
        return exchange.decision.detail or exchange.decision.why
    if exchange.sent_elsewhere:
        return "it was sent elsewhere than its URL says"
    return "larger than cache_max_object" if (declared_length(fields) or 0) > exchange.max_object else ""


def _is_post(exchange: ResponseContext) -> bool:
    """Return whether the request bypassed the store only because it is a POST, whose responses may be stored."""
    return exchange.request.method == "POST" and forward_reason(exchange.decision) is ForwardReason.METHOD


def _storing_exchange(exchange: ResponseContext, method: str, overrides: Overrides) -> storability.StorageContext:
    request = exchange.request
    asked = parse_request(request.fields)
    return storability.StorageContext(method, request.key, request.fields, asked, exchange.strict, overrides)


def _overrides(exchange: ResponseContext, status: int, fields: Fields, now: float) -> Overrides:
    """Return the overrides of the user's rules for a response.

    For a response that sets a cookie, `ttl=` cannot exceed the origin's lifetime: nginx's proxy_cache_valid excludes
    it.
    """
    if exchange.overrides_for is None:
        return NO_OVERRIDES
    overrides = exchange.overrides_for(status)
    is_dated = overrides.ttl is not None and not overrides.force and sets_cookie(fields)
    if not is_dated or freshness.is_shared(parse_response(fields), overrides):
        return overrides
    said = freshness.evaluate(status, fields, exchange.asked_at, now, replace(overrides, ttl=None), personal=True)
    return replace(overrides, ttl=min(overrides.ttl or 0.0, said.lifetime))


def _entry(
    exchange: ResponseContext, head: ResponseHead, overrides: Overrides, personal: bool, now: float
) -> StoredResponse:
    fields, request = head.fields, exchange.request
    kept = stored_fields(fields, parse_response(fields), overrides)
    return StoredResponse(
        key=request.key,
        status=head.status,
        reason=head.reason,
        # A recipient with a clock adds a missing Date (RFC 9110, section 6.6.1).
        fields=kept if "date" in kept else kept.adding("Date", format_date(now)),
        vary_key=vary_key(vary_names(fields) or (), request.fields),
        requested_at=exchange.asked_at,
        received_at=now,
        size=0,
        id=exchange.id,
        tags=tags_of(fields),
        overrides=overrides,
        personal=personal,
    )
