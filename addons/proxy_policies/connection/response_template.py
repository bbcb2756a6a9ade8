"""What a response from the cache looks like on the wire, with places for what changes. Pure.

A request is answered with every policy having its say; we note the bytes. When the same bytes ask again,
the same decision is taken anew, and if the answer it gives differs in nothing but Age and Cache-Status from the one
that was learned, so does what every policy makes of it: then the noted head, with the new values, is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy_policies.cache.response import CachedResponse, MemoryHit, lookup_now
from proxy_policies.cache.rfc9111.decision import Request
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.stores.store import SyncView
from proxy_policies.fields import Fields
from proxy_policies.http1.plain_fields import CRLF_HEAD_END

CHANGING = (b"age", b"cache-status")
"""The fields of an answer that change with time."""
MICROSECOND = 1e-6  # floats of epoch seconds are no finer

Lines = tuple[tuple[bytes, bytes], ...]
Held = Callable[[MemoryHit, str], bytes | None]
"""Gives an encoded form of the stored body."""


@dataclass(frozen=True, slots=True)
class ResponseTemplate:
    """One request, and the answer to it with places for what changes."""

    request: Request
    status: int
    constant: Lines
    """The fields of the cache's answer but for those that change."""
    template: tuple[bytes, ...]
    """The head on the wire, cut where a value of `order` belongs."""
    order: tuple[bytes, ...]
    coding: str
    """The encoded form of the stored body that is sent; "" for the body as stored."""
    length: int
    """Bytes of the body on the wire."""
    closes: bool
    """The connection ends with it."""

    def render(self, store: SyncView, now: float) -> RenderedResponse | None:
        """Take the decision anew and write the answer; None when something has changed besides the time."""
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
    """What of a stored body is sent: never the bytes themselves, which are the store's to keep or to drop."""

    entry: StoredResponse
    coding: str
    part: slice | None
    """Positions in that form of it; None for no body."""
    length: int

    def read(self, store: SyncView) -> bytes | None:
        """Return the bytes, and count the use; None when they are gone, or others."""
        body = store.get_body(self.entry, self.coding)
        if body is None:
            return None
        sent = b"" if self.part is None else body[self.part]
        return sent if len(sent) == self.length else None


@dataclass(frozen=True, slots=True)
class RenderedResponse:
    """An answer that stands for up to a second: as long as neither its Age nor what is stored changes."""

    head: bytes
    body: BodyPart
    candidates: Sequence[StoredResponse]
    """What was stored when it was decided."""
    since: float
    until: float

    def holds(self, store: SyncView, now: float) -> bool:
        """Return whether the same would be decided and written now."""
        return self.since <= now < self.until and store.get_all(self.body.entry.key) == self.candidates


def valid_for(entry: StoredResponse, now: float) -> float:
    """Return the seconds for which nothing that is said or decided of an entry changes.

    All of it turns on whole seconds: of its age, as Age and max-age do, or of the time that it stays fresh, as ttl,
    min-fresh, max-stale and freshness itself (RFC 9111, sections 4.2 and 5.2.1). At such a moment itself it is none,
    and before it came there is none: the clock went back, and ages go down as it goes on.
    """
    if now < entry.received_at:
        return 0.0
    age, left = entry.age(now), entry.ttl(now)
    return max(0.0, min(1 - age % 1, left % 1) - MICROSECOND) if age % 1 else 0.0


def constant_fields(answer: CachedResponse) -> Lines:
    """Return the fields that stay as they are."""
    return tuple(line for line in answer.fields.raw if line[0].lower() not in CHANGING)


def changing_fields(answer: CachedResponse) -> dict[bytes, bytes]:
    """Return the values of the fields that change."""
    return {line[0].lower(): line[1] for line in answer.fields.raw if line[0].lower() in CHANGING}


def learn(request: Request, wire: bytes, ready: MemoryHit, held: Held) -> ResponseTemplate | None:
    """Learn from what was sent, given what the cache answers at this moment; None if there is a doubt."""
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
    """Return whether it is said plainly if the connection goes on, and the body has come whole by its length."""
    has_length = not body or fields.get("content-length") == str(len(body))
    ends_or_not = (fields.get("connection") or "close").lower() == "close"
    return has_length and ends_or_not and "transfer-encoding" not in fields


def _is_settled(head: bytes, ready: MemoryHit) -> bool:
    return head.startswith(b"HTTP/1.1 %d " % ready.head.status)


def _form(fields: Fields, body: bytes, ready: MemoryHit, held: Held) -> str | None:
    """Return which form of the stored body was sent; None when it was none of them, or not the whole of it."""
    if body == ready.body:
        return ""
    coding = fields.get("content-encoding") or ""
    return coding if coding and held(ready, coding) == body else None


def _cut(
    head: bytes, lines: list[tuple[bytes, bytes, bytes]], values: dict[bytes, bytes]
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]] | None:
    """Cut a head where the changing values are; None unless each is there once, with the value of this moment."""
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
