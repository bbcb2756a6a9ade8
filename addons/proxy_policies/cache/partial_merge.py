"""Joins adjoining stored parts (RFC 9111, section 3.4), only with the same strong validator."""

import uuid

from proxy_policies.cache.rfc9111 import ranges
from proxy_policies.cache.rfc9111.entry import Span, StoredResponse
from proxy_policies.cache.stores.store import Checkpoint, Store, StoredBody


async def merge_parts(store: Store, part: StoredResponse, limit: int) -> StoredResponse | None:
    """Join a part just stored with an adjoining one; return the joined entry, None if there is none."""
    since = store.checkpoint
    others = [entry for entry in await store.lookup(part.key) if _is_other(entry, part)]
    old = ranges.adjoining(others, part)
    if old is None or old.span is None or part.span is None:
        return None
    joined = merged_entry(part, ranges.joined(old.span, part.span)).replace(personal=old.personal or part.personal)
    first, second = sorted((old, part), key=lambda entry: entry.span.first if entry.span else 0)
    bodies = await store.body(first), await store.body(second)
    if joined.size > limit or bodies[0] is None or bodies[1] is None:
        return None
    await _write(store, joined, bodies[0], bodies[1], since)
    return joined


def _is_other(entry: StoredResponse, part: StoredResponse) -> bool:
    same_coding = entry.fields.get("content-encoding") == part.fields.get("content-encoding")
    return entry.id != part.id and entry.vary_key == part.vary_key and same_coding


def merged_entry(part: StoredResponse, span: Span) -> StoredResponse:
    """Return the head of two joined parts, with the later one's fields; a complete one becomes a 200."""
    is_whole = span.first == 0 and span.last + 1 == span.length
    return part.replace(
        status=200 if is_whole else 206,
        reason="OK" if is_whole else part.reason,
        fields=part.fields.without(["content-range", "content-length"]),
        span=None if is_whole else span,
        size=span.size,
        id=uuid.uuid4().hex,
    )


async def _write(
    store: Store, joined: StoredResponse, first: StoredBody, second: StoredBody, since: Checkpoint
) -> None:
    writing = store.write(since)
    try:
        async for piece in first.chunks(0, first.size):
            writing.feed(piece)
        async for piece in second.chunks(first.size + second.size - joined.size, second.size):
            writing.feed(piece)
    except OSError:
        writing.abort()
    else:
        writing.commit(joined)
