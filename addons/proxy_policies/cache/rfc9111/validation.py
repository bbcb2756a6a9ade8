"""Conditional requests, the client's and our own (RFC 9111, sections 4.3.1 to 4.3.5; RFC 9110, section 13)."""

from collections.abc import Iterable, Sequence

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.storability import end_to_end
from proxy_policies.fields import Fields, format_date, parse_date, split_tags, tokens

ORIGIN_ONLY = frozenset({"if-match", "if-unmodified-since"})
"""Preconditions that only an origin may evaluate (section 4.3.2)."""

CONDITIONALS = ("if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range")

FRESHENING = frozenset(
    {b"age", b"cache-control", b"cdn-cache-control", b"date", b"etag", b"expires", b"last-modified", b"vary"}
)
"""What says of a response which it is, and for how long it holds: the same for all requests that it answers."""

NOT_UPDATED = ("content-length",)
"""What an update never changes (section 3.2)."""

CONTENT_CODINGS = frozenset(
    {"aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "identity", "pack200-gzip", "x-compress",
     "x-gzip", "zstd"}
)  # fmt: skip
"""The registered content codings (IANA, HTTP Content Coding Registry)."""


# Section 4.3.1: sending a validation request


def conditional(request: Fields, entries: Sequence[StoredResponse]) -> Fields:
    """Return the request with our validators in place of, or beside, the client's.

    The client's own entity tags stay in the list: a 304 for one of them is the client's (section 4.3.2).
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
    """Return the request with the entity tags of all of `entries` in If-None-Match."""
    return request.replacing("If-None-Match", ", ".join(_quoted(entry.freshness.etag or "") for entry in entries))


def _quoted(etag: str) -> str:
    return etag if '"' in etag else f'"{etag}"'


def has_validator(entry: StoredResponse) -> bool:
    """Return whether a validation request can be made for it."""
    return bool(entry.freshness.etag) or entry.freshness.last_modified is not None


# Section 4.3.2: evaluating the client's preconditions against what is stored


def not_modified(request: Fields, entry: StoredResponse, now: float) -> bool:
    """Return whether the client's copy is still good; If-None-Match goes before If-Modified-Since."""
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
        # Without Last-Modified the time of origin is the closest bound (section 4.3.2).
        return entry.freshness.overrides.undated_304 or entry.freshness.date <= given
    return changed <= given


def _listed(condition: str, etag: str | None) -> bool:
    if condition.strip() == "*":
        return True
    return etag is not None and any(_opaque(tag) == _opaque(etag) for tag in (condition, *split_tags(condition)))


def _opaque(tag: str) -> str:
    """Reduce a tag for weak comparison; tags that lack their quotes are compared as they stand."""
    return tag.strip().removeprefix("W/").strip('"')


# Section 4.3.3: handling a validation response


def select_for_304(entries: Iterable[StoredResponse], response: Fields, own_tags: str | None) -> StoredResponse | None:
    """Find the stored response that a 304 is about (section 4.3.4); None when it is about the client's copy, or none.

    `own_tags` is the client's If-None-Match, None when it sent none.
    """
    held = list(entries)
    etag = next(iter(response.lines("etag")), None)
    if etag is None:
        return held[0] if held and ((len(held) == 1 and own_tags is None) or not held[0].freshness.etag) else None
    return next(
        (entry for entry in held if entry.freshness.etag and _opaque(entry.freshness.etag) == _opaque(etag)), None
    )


def recodes(entry: StoredResponse, response: Fields) -> bool:
    """Return whether a response claims another content coding than the stored body has.

    Taken over, it would have every client decode what is not coded so. A coding that is none is nobody's to decode.
    """
    old, new = (tokens(fields.get("content-encoding")) for fields in (entry.fields, response))
    return "content-encoding" in response and old != new and not CONTENT_CODINGS.isdisjoint({*old, *new})


def updated_by(entry: StoredResponse, response: Fields, requested_at: float, received_at: float) -> StoredResponse:
    """Update a stored response by the fields of a 304, or of a 200 to HEAD (section 3.2).

    Nothing is left out that is for this client only: that is for `stored_fields` to do before it is stored.
    """
    kept = [*NOT_UPDATED]
    if recodes(entry, response):
        kept.append("content-encoding")
    if entry.span is not None or "content-range" not in entry.fields:
        kept.append("content-range")  # it says where the new part lies, not the stored one
    update = end_to_end(response).without(kept)
    if "date" not in update:  # a recipient with a clock adds it (RFC 9110, section 6.6.1)
        update = update.adding("Date", format_date(received_at))
    return entry.replace(
        fields=_updated(entry.fields, update),
        requested_at=requested_at,
        received_at=received_at,
    )


def _updated(old: Fields, update: Fields) -> Fields:
    names = {name.lower() for name, _ in update}
    # An Age or a Cache-Status that the new response lacks was about the old one's way here.
    return Fields(old.without(names | {"age", "cache-status"}).raw + update.raw)


def head_agrees(entry: StoredResponse, response: Fields) -> bool:
    """Return whether a 200 to HEAD describes the stored response still (section 4.3.5)."""
    facts = {"etag": entry.freshness.etag, "last-modified": entry.fields.get("last-modified")}
    validators = all(response.get(name) in (None, value) for name, value in facts.items())
    length = response.get("content-length")
    whole = entry.span.length if entry.span else entry.size
    return validators and length in (None, str(whole)) and not recodes(entry, response)


def fields_of_304(stored: Fields) -> Fields:
    """Choose the fields of a 304: those a 200 would have had that guide the update (RFC 9110, section 15.4.5)."""
    return stored.without(
        {name.lower() for name, _ in stored} & {"content-length", "content-encoding", "content-range"}
    )
