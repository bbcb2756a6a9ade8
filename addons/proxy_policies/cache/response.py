"""Builds responses from stored ones: heads and the part of the body to send (RFC 9111, section 4; RFC 9110, 13 to 15).

`build_response` is used for every stored response, inside mitmproxy's layers and on the fast path.
"""

from dataclasses import dataclass

from proxy_policies.cache.rfc9111 import ranges, validation
from proxy_policies.cache.rfc9111.decision import Hit, Request, decide
from proxy_policies.cache.rfc9111.entry import Span, StoredResponse
from proxy_policies.cache.status import CacheStatus
from proxy_policies.cache.stores.store import SyncView
from proxy_policies.fields import Fields


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A response to send: `part` is the range (start, stop) of the stored body, None for no body."""

    status: int
    reason: str
    fields: Fields
    part: tuple[int, int] | None

    @property
    def length(self) -> int:
        """Bytes of body to send."""
        return 0 if self.part is None else self.part[1] - self.part[0]


def build_response(
    request: Request, entry: StoredResponse, now: float, status: CacheStatus, part: tuple[int, int] | None = None
) -> CachedResponse:
    """Build the response to a request from a stored one; `part` is the requested range of a partial one."""
    base = _with_status(entry, now, status)
    # 1. The client's own preconditions come first (RFC 9110, section 13.2.2).
    if validation.not_modified(request.fields, entry, now):
        return CachedResponse(304, "Not Modified", validation.fields_of_304(base), None)
    whole = (0, entry.size)
    if entry.span is not None:
        part = part or _part_asked_for(request, entry.span) or whole
        body = CachedResponse(206, "Partial Content", _part_fields(base, entry, part), part)
    else:
        # 2. Then If-Range and Range (14.2).
        body = _ranged(request, entry, base, now) or CachedResponse(entry.status, entry.reason, base, whole)
    # 3. HEAD gets only the head.
    return body if request.method != "HEAD" else CachedResponse(body.status, body.reason, body.fields, None)


RECOMPUTED = frozenset({b"age", b"content-length"})


def _with_status(entry: StoredResponse, now: float, status: CacheStatus) -> Fields:
    # Age first among what changes: RFC 9111, section 5.1; Date stays the origin's.
    raw = [line for line in entry.fields.raw if line[0].lower() not in RECOMPUTED]
    added = [(b"Age", b"%d" % max(0, int(entry.age(now)))), (b"Cache-Status", str(status).encode("latin-1", "replace"))]
    if entry.status != 204:
        added.insert(0, (b"Content-Length", _length(entry)))
    return Fields((*raw, *added))


def _length(entry: StoredResponse) -> bytes:
    return b"%d" % entry.size


def _ranged(request: Request, entry: StoredResponse, base: Fields, now: float) -> CachedResponse | None:
    """Serve a range of a stored whole (RFC 9110, section 14.2); None if Range must be ignored."""
    if request.method != "GET" or entry.status != 200 or "range" not in request.fields:
        return None
    wanted = ranges.parse_range(request.fields.get("range"))
    if wanted is None or not ranges.if_range_matches(request.fields, entry, now):
        return None
    part = ranges.within(wanted, entry.size)
    if part is None:
        fields = base.without(["content-length", "content-type", "content-encoding"])
        fields = fields.adding("Content-Range", f"bytes */{entry.size}").adding("Content-Length", "0")
        return CachedResponse(416, "Range Not Satisfiable", fields, None)
    return CachedResponse(206, "Partial Content", _part_fields(base, entry, part), part)


def _part_asked_for(request: Request, span: Span) -> tuple[int, int] | None:
    wanted = ranges.parse_range(request.fields.get("range"))
    return None if wanted is None else ranges.within_span(wanted, span)


def _part_fields(base: Fields, entry: StoredResponse, part: tuple[int, int]) -> Fields:
    start = entry.span.first if entry.span else 0
    length = entry.span.length if entry.span else entry.size
    value = f"bytes {start + part[0]}-{start + part[1] - 1}/{'*' if length is None else length}"
    return base.replacing("Content-Range", value).replacing("Content-Length", str(part[1] - part[0]))


def hit_status(hit: Hit, now: float) -> CacheStatus:
    """Return the Cache-Status of a hit."""
    return CacheStatus(hit=True, ttl=hit.entry.ttl(now), detail=hit.detail)


@dataclass(frozen=True, slots=True)
class MemoryHit:
    """A complete response from memory: head, body, and the entry it is from."""

    head: CachedResponse
    body: bytes
    entry: StoredResponse


def lookup_now(store: SyncView, request: Request, now: float) -> MemoryHit | None:
    """Answer a request completely from the sync view; None unless it is a fresh hit.

    So None for a miss, a validation, or a stale response that needs a background refresh. Takes tens of microseconds,
    has no effect except counting the use, and never raises. `request.key` is `key.key_of(Target(…))` for the upstream
    request, with that request's fields. The body is the identity form; `store.get_body(ready.entry, "gzip")` returns an
    encoded form kept beside it.
    """
    decision = decide(request, store.get_all(request.key), now)
    if not isinstance(decision, Hit) or decision.refresh:
        return None
    body = store.get_body(decision.entry)
    if body is None:
        return None
    made = build_response(request, decision.entry, now, hit_status(decision, now), decision.part)
    if made.part is None:
        return MemoryHit(made, b"", decision.entry)
    whole = made.part == (0, len(body))
    return MemoryHit(made, body if whole else body[made.part[0] : made.part[1]], decision.entry)
