"""The bytes of a cached response, with placeholders for the fields that change. Pure.

A request is first answered with all policies involved, and the bytes sent are noted. When an identical request arrives,
the cache decides again. If its response differs from the learned one only in Age and Cache-Status, then so does the
result of all policies: the noted head is sent with the new values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy_policies.cache.response import CachedResponse, MemoryHit, lookup_now
from proxy_policies.cache.rfc9111.decision import Request
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.stores.store import SyncView
from proxy_policies.fields import Fields
from proxy_policies.http1.request_heads import CRLF_HEAD_END

CHANGING = (b"age", b"cache-status")
"""The fields of a response that change with time."""
MICROSECOND = 1e-6  # the resolution of epoch seconds as floats

Lines = tuple[tuple[bytes, bytes], ...]
Held = Callable[[MemoryHit, str], bytes | None]
"""Returns an encoded form of the stored body."""


@dataclass(frozen=True, slots=True)
class ResponseTemplate:
    """One request, and its response with placeholders for changing values."""

    request: Request
    status: int
    constant: Lines
    """The fields of the cache's response except the changing ones."""
    template: tuple[bytes, ...]
    """The head on the wire, split where the values of `order` belong."""
    order: tuple[bytes, ...]
    coding: str
    """The encoded form of the stored body that is sent; "" for the body as stored."""
    length: int
    """Bytes of the body on the wire."""
    closes: bool
    """The connection ends with it."""

    def render(self, store: SyncView, now: float) -> RenderedResponse | None:
        """Decide again and render the response; None if anything but the time has changed."""
        ready = lookup_now(store, self.request, now)
        if ready is None or ready.head.status != self.status or constant_fields(ready.head) != self.constant:
            return None
        values = changing_fields(ready.head)
        pieces = [self.template[0]]
        for name, following in zip(self.order, self.template[1:], strict=True):
            pieces += (values[name], following)
        part = slice(*ready.head.part) if ready.head.part and not self.coding else slice(None)
        body = BodyPart(ready.entry, self.coding, part if self.length else None, self.length)
        candidates = store.get_all(self.request.key)
        return RenderedResponse(b"".join(pieces), body, candidates, now, now + valid_for(ready.entry, now))


@dataclass(frozen=True, slots=True)
class BodyPart:
    """The part of a stored body to send; not the bytes themselves, which the store may keep or drop."""

    entry: StoredResponse
    coding: str
    part: slice | None
    """The range of that form; None for no body."""
    length: int

    def read(self, store: SyncView) -> bytes | None:
        """Return the bytes, and count the use; None if they are gone or have changed."""
        body = store.get_body(self.entry, self.coding)
        if body is None:
            return None
        sent = b"" if self.part is None else body[self.part]
        return sent if len(sent) == self.length else None


@dataclass(frozen=True, slots=True)
class RenderedResponse:
    """A response that is valid for up to a second: as long as neither its Age nor the store's entries change."""

    head: bytes
    body: BodyPart
    candidates: Sequence[StoredResponse]
    """The stored responses at the time of the decision."""
    since: float
    until: float

    def holds(self, store: SyncView, now: float) -> bool:
        """Return whether the same response would be rendered now."""
        return self.since <= now < self.until and store.get_all(self.body.entry.key) == self.candidates


def valid_for(entry: StoredResponse, now: float) -> float:
    """Return the seconds for which no field and no decision about an entry changes.

    All of them change on whole seconds: of its age, as Age and max-age do, or of its remaining freshness, as ttl,
    min-fresh, max-stale and freshness itself (RFC 9111, sections 4.2 and 5.2.1). The result is 0 exactly at such a
    moment, and before the entry was received: then the clock was set back, and ages decrease as it goes on.
    """
    if now < entry.received_at:
        return 0.0
    age, left = entry.age(now), entry.ttl(now)
    return max(0.0, min(1 - age % 1, left % 1) - MICROSECOND) if age % 1 else 0.0


def constant_fields(answer: CachedResponse) -> Lines:
    """Return the fields that do not change."""
    return tuple(line for line in answer.fields.raw if line[0].lower() not in CHANGING)


def changing_fields(answer: CachedResponse) -> dict[bytes, bytes]:
    """Return the values of the fields that change."""
    return {line[0].lower(): line[1] for line in answer.fields.raw if line[0].lower() in CHANGING}


def learn(request: Request, wire: bytes, ready: MemoryHit, held: Held) -> ResponseTemplate | None:
    """Learn from the bytes sent, given the cache's current response; None if in doubt."""
    head, end, body = wire.partition(CRLF_HEAD_END)
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    fields = Fields((name, value.strip()) for name, _, value in lines)
    values = changing_fields(ready.head)
    times = sum(line[0].lower() in CHANGING for line in ready.head.fields.raw)
    if not end or times != 2 or len(values) != 2 or not _is_plain(fields, body) or not _is_settled(head, ready):
        return None
    coding = _form(fields, body, ready, held)
    cut = _cut(head, lines, values) if coding is not None else None
    if coding is None or cut is None:
        return None
    template, order = cut
    closes = "connection" in fields
    return ResponseTemplate(
        request, ready.head.status, constant_fields(ready.head), template, order, coding, len(body), closes
    )


def _is_plain(fields: Fields, body: bytes) -> bool:
    """Return whether persistence is unambiguous, and the body complete by its Content-Length."""
    has_length = not body or fields.get("content-length") == str(len(body))
    ends_or_not = (fields.get("connection") or "close").lower() == "close"
    return has_length and ends_or_not and "transfer-encoding" not in fields


def _is_settled(head: bytes, ready: MemoryHit) -> bool:
    return head.startswith(b"HTTP/1.1 %d " % ready.head.status)


def _form(fields: Fields, body: bytes, ready: MemoryHit, held: Held) -> str | None:
    """Return which form of the stored body was sent; None if it was none of them, or incomplete."""
    if body == ready.body:
        return ""
    coding = fields.get("content-encoding") or ""
    return coding if coding and held(ready, coding) == body else None


def _cut(
    head: bytes, lines: list[tuple[bytes, bytes, bytes]], values: dict[bytes, bytes]
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]] | None:
    """Split a head at the changing values; None unless each occurs once, with its current value."""
    found = [(name.lower(), value.strip()) for name, _, value in lines if name.lower() in CHANGING]
    if len(found) != len(values) or dict(found) != values:
        return None
    template, rest = [], head.partition(b"\r\n")[0]
    for name, colon, value in lines:
        rest += b"\r\n" + name + colon
        if name.lower() in CHANGING:
            template.append(rest + b" ")
            rest = b""
        else:
            rest += value
    return (*template, rest + CRLF_HEAD_END), tuple(name for name, _ in found)
