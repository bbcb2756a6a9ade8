"""The client's and our own conditional requests (RFC 9111, sections 4.3.1 to 4.3.5; RFC 9110, section 13)."""

from collections.abc import Iterable, Sequence
from enum import IntEnum

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.freshness import read_etag
from proxy_policies.cache.rfc9111.storability import end_to_end
from proxy_policies.fields import Fields, format_date, parse_date, parse_weights, split_tags, tokens

ORIGIN_ONLY = frozenset({"if-match", "if-unmodified-since"})
"""Preconditions that only an origin may evaluate (section 4.3.2)."""

CONDITIONALS = ("if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range")

FRESHENING = frozenset(
    {b"age", b"cache-control", b"cdn-cache-control", b"date", b"etag", b"expires", b"last-modified", b"vary"}
)
"""The fields that identify a response and its freshness: the same for all requests that it answers."""

NOT_UPDATED = ("content-length",)
"""Fields that an update never changes (section 3.2)."""

CONTENT_CODINGS = frozenset(
    {"aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "identity", "pack200-gzip", "x-compress",
     "x-gzip", "zstd"}
)  # fmt: skip
"""The registered content codings (IANA, HTTP Content Coding Registry)."""

WEAK = "W/"


# Section 4.3.1: sending a validation request


def conditional(request: Fields, entries: Sequence[StoredResponse]) -> Fields:
    """Return the request's fields with our validators, replacing or extending the client's.

    The client's own entity tags stay in the list: a 304 for one of them is for the client (section 4.3.2).
    """
    ours = [_quoted(entry.freshness.etag) for entry in entries if entry.freshness.etag]
    if ours:
        theirs = split_tags(request.get("if-none-match") or "")
        request = request.replacing("If-None-Match", ", ".join(dict.fromkeys([*ours, *theirs])))
    last_modified = entries[0].fields.get("last-modified") if entries else None
    if last_modified and entries[0].freshness.last_modified is not None:
        request = request.replacing("If-Modified-Since", last_modified)
    elif ours:
        request = request.without(["if-modified-since"])
    return request


def with_tags(request: Fields, entries: Iterable[StoredResponse]) -> Fields:
    """Return the request's fields with the tags of all `entries` in If-None-Match as the only condition."""
    tags = dict.fromkeys(_quoted(entry.freshness.etag or "") for entry in entries)
    return request.without(["if-modified-since"]).replacing("If-None-Match", ", ".join(tags))


def accepts(request: Fields, entry: StoredResponse) -> bool:
    """Return whether a request accepts the content codings of a stored response (RFC 9110, section 12.5.3)."""
    accepted = {name for name, weight in parse_weights(request.get("accept-encoding") or "") if weight > 0}
    return "*" in accepted or accepted.issuperset(tokens(entry.fields.get("content-encoding")))


def _quoted(etag: str) -> str:
    return etag if '"' in etag else f'"{etag}"'


def has_validator(entry: StoredResponse) -> bool:
    """Return whether a validation request can be made for it."""
    return bool(entry.freshness.etag) or entry.freshness.last_modified is not None


# Section 4.3.2: evaluating the client's preconditions against what is stored


def not_modified(request: Fields, entry: StoredResponse, now: float) -> bool:
    """Return whether the client's copy is still valid; If-None-Match takes precedence over If-Modified-Since."""
    if entry.status != 200:
        return False
    if "if-none-match" in request:
        return _listed(request.get("if-none-match") or "", entry.freshness.etag)
    since = request.get("if-modified-since")
    if since is None:
        return False
    given = parse_date(since, now)
    if given is None:
        return False
    changed = entry.freshness.last_modified
    if changed is None:
        # Without Last-Modified, Date is the closest bound (section 4.3.2).
        return entry.freshness.overrides.undated_304 or entry.freshness.date <= given
    return changed <= given


def _listed(condition: str, etag: str | None) -> bool:
    if condition.strip() == "*":
        return True
    return etag is not None and any(_opaque(tag) == _opaque(etag) for tag in (condition, *split_tags(condition)))


def _opaque(tag: str) -> str:
    """Reduce a tag for weak comparison; tags without quotes are compared as they are."""
    return tag.strip().removeprefix(WEAK).strip('"')


# Section 4.3.3: handling a validation response


class Agreement(IntEnum):
    """How well the validators of a 304 agree with those of a stored response."""

    NONE = 0
    UNSAID = 1
    """The 304 has none to compare."""
    WEAK = 2
    STRONG = 3


def agreement(entry: StoredResponse, response: Fields, now: float) -> Agreement:
    """Compare the validators of a 304 with a stored response's (section 4.3.4).

    If both have an entity tag, it alone decides, as for a recipient of both conditions (RFC 9110, section 13.2.2); else
    Last-Modified does. If the 304 has a strong tag and the stored response none, Last-Modified must itself be strong.
    """
    said, facts = read_etag(response), entry.freshness
    if "etag" not in response and "last-modified" not in response:
        return Agreement.UNSAID
    if "etag" in response and said is None:  # it has one, but an unreadable one
        return Agreement.NONE
    if said is not None and facts.etag is not None:
        return _tags_agree(said, facts.etag)
    modified = parse_date(response.single("last-modified") or "", now)
    if modified is None or modified != facts.last_modified:
        return Agreement.NONE
    if facts.is_dated_strongly:
        return Agreement.STRONG
    return Agreement.NONE if said is not None and not said.startswith(WEAK) else Agreement.WEAK


def _tags_agree(one: str, other: str) -> Agreement:
    if _opaque(one) != _opaque(other):
        return Agreement.NONE
    return Agreement.WEAK if one.startswith(WEAK) or other.startswith(WEAK) else Agreement.STRONG


def select_for_304(
    entries: Sequence[StoredResponse], response: Fields, own_tags: str | None, now: float, *, is_variant: bool = False
) -> StoredResponse | None:
    """Find the stored response that a 304 is about; None if that is the client's copy, another one, or unclear.

    `own_tags` is the client's If-None-Match, None if absent. `is_variant`: the entries were stored for requests with
    other selecting fields; several of them may share a weak tag (gzip and identity, for example).

    By section 4.3.4, a 304 without validators updates no response that has one. But many origins leave out the
    validators of the request, and if that had only one of ours, nothing else can be meant.
    """
    agreements = {entry: agreement(entry, response, now) for entry in entries}
    best = max(agreements.values(), default=Agreement.NONE)
    if best is Agreement.UNSAID:
        return entries[0] if len(entries) == 1 and _asks_nothing_else(entries[0], own_tags) else None
    if best < (Agreement.STRONG if is_variant else Agreement.WEAK):
        return None
    found = [entry for entry, agreed in agreements.items() if agreed is best]
    return max(found, key=lambda entry: entry.freshness.date)


def _asks_nothing_else(entry: StoredResponse, own_tags: str | None) -> bool:
    theirs, etag = split_tags(own_tags or ""), entry.freshness.etag
    return not theirs or (etag is not None and all(_opaque(tag) == _opaque(etag) for tag in theirs))


def is_about_own_copy(response: Fields, own_tags: str | None) -> bool:
    """Return whether a 304 has one of the client's own tags, or answers its `*`."""
    etag = read_etag(response)
    return etag is not None and own_tags is not None and _listed(own_tags, etag)


def recodes(entry: StoredResponse, response: Fields) -> bool:
    """Return whether a response declares a content coding that differs from the stored body's.

    If it were copied, clients would decode a body that is not so coded. Unregistered codings, which none decode, are
    ignored.
    """
    old, new = (tokens(fields.get("content-encoding")) for fields in (entry.fields, response))
    return "content-encoding" in response and old != new and not CONTENT_CODINGS.isdisjoint({*old, *new})


def updated_by(entry: StoredResponse, response: Fields, requested_at: float, received_at: float) -> StoredResponse:
    """Update a stored response with the fields of a 304, or of a 200 to HEAD (section 3.2).

    Fields for this client only are included; `stored_fields` removes them before storing.
    """
    kept = [*NOT_UPDATED, *_validators_kept(entry, response, received_at)]
    if recodes(entry, response):
        kept.append("content-encoding")
    if entry.span is not None or "content-range" not in entry.fields:
        kept.append("content-range")  # it describes the new part, not the stored one
    update = end_to_end(response).without(kept)
    if "date" not in update:  # added by a recipient with a clock (RFC 9110, section 6.6.1)
        update = update.adding("Date", format_date(received_at))
    return entry.replace(
        fields=_updated(entry.fields, update),
        requested_at=requested_at,
        received_at=received_at,
    )


def _validators_kept(entry: StoredResponse, response: Fields, now: float) -> tuple[str, ...]:
    """Return the validators that an update does not change.

    An agreeing tag adds nothing, or is strong where the stored one is weak, as from nginx when it compresses: the
    stored body must not get the tag of another body. Unreadable validators replace nothing.
    """
    if agreement(entry, response, now) < Agreement.STRONG:
        return ("etag", "last-modified")
    is_tagged = entry.freshness.etag is not None or read_etag(response) is None
    is_dated = parse_date(response.single("last-modified") or "", now) is None
    return ("etag",) * is_tagged + ("last-modified",) * is_dated


def _updated(old: Fields, update: Fields) -> Fields:
    names = {name.lower() for name, _ in update}
    # Without a new value, Age and Cache-Status described the old response's path.
    return Fields(old.without(names | {"age", "cache-status"}).raw + update.raw)


def head_agrees(entry: StoredResponse, response: Fields) -> bool:
    """Return whether a 200 to HEAD still describes the stored response (section 4.3.5)."""
    facts = {"etag": entry.freshness.etag, "last-modified": entry.fields.get("last-modified")}
    validators = all(response.get(name) in (None, value) for name, value in facts.items())
    length = response.get("content-length")
    whole = entry.span.length if entry.span else entry.size
    return validators and length in (None, str(whole)) and not recodes(entry, response)


def fields_of_304(stored: Fields) -> Fields:
    """Return the fields of a 304: those of the 200 that guide an update (RFC 9110, section 15.4.5)."""
    return stored.without(
        {name.lower() for name, _ in stored} & {"content-length", "content-encoding", "content-range"}
    )
