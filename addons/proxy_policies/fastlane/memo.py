"""What an answer from the cache looked like on the wire, learnt from the slow lane. Pure.

The slow lane answers a request, with every policy having its say; we note the bytes. When the same bytes ask again,
the same decision is taken anew, and if the answer it gives differs in nothing but Age and Cache-Status from the one
that was learnt, so does what every policy makes of it: then the noted head, with the new values, is the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy_policies.cache.answer import Answer, Ready
from proxy_policies.cache.decision import Request
from proxy_policies.fields import Fields

HEAD_END = b"\r\n\r\n"
CHANGING = (b"age", b"cache-status")
"""The fields of an answer that change with time."""

Lines = tuple[tuple[bytes, bytes], ...]
Held = Callable[[Ready, str], bytes | None]
"""Gives an encoded form of the stored body."""


@dataclass(frozen=True, slots=True)
class Memo:
    """One request, and the answer to it with places for what changes."""

    request: Request
    status: int
    lasting: Lines
    """The fields of the cache's answer but for those that change."""
    template: tuple[bytes, ...]
    """The head on the wire, cut where a value of `order` belongs."""
    order: tuple[bytes, ...]
    coding: str
    """The encoded form of the stored body that is sent; "" for the body as stored."""
    length: int
    """Bytes of the body on the wire."""

    def write(self, ready: Ready, held: Held) -> bytes | None:
        """Write the answer anew; None when something has changed besides the time."""
        head = ready.head
        if head.status != self.status or lasting(head) != self.lasting:
            return None
        body = ready.body if not self.coding else held(ready, self.coding)
        if body is None or (self.length and len(body) != self.length):
            return None
        values = changing(head)
        parts = [self.template[0]]
        for name, following in zip(self.order, self.template[1:], strict=True):
            parts += (values[name], following)
        return b"".join(parts) + (body if self.length else b"")


def lasting(answer: Answer) -> Lines:
    """Give the fields that stay as they are."""
    return tuple(line for line in answer.fields.raw if line[0].lower() not in CHANGING)


def changing(answer: Answer) -> dict[bytes, bytes]:
    """Give the values of the fields that change."""
    return {line[0].lower(): line[1] for line in answer.fields.raw if line[0].lower() in CHANGING}


def learn(request: Request, wire: bytes, ready: Ready, held: Held) -> Memo | None:
    """Learn from what the slow lane sent, given what the cache answers at this moment; None if there is a doubt."""
    head, end, body = wire.partition(HEAD_END)
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    fields = Fields((name, value.strip()) for name, _, value in lines)
    values = changing(ready.head)
    times = sum(line[0].lower() in CHANGING for line in ready.head.fields.raw)
    if not end or times != 2 or len(values) != 2 or not _is_plain(fields) or not _is_settled(head, ready):
        return None
    coding = _form(fields, body, ready, held)
    cut = _cut(head, lines, values) if coding is not None else None
    if coding is None or cut is None:
        return None
    template, order = cut
    return Memo(request, ready.head.status, lasting(ready.head), template, order, coding, len(body))


def _is_plain(fields: Fields) -> bool:
    """Say whether the connection goes on and the body has a length."""
    return "connection" not in fields and "transfer-encoding" not in fields


def _is_settled(head: bytes, ready: Ready) -> bool:
    return head.startswith(b"HTTP/1.1 %d " % ready.head.status)


def _form(fields: Fields, body: bytes, ready: Ready, held: Held) -> str | None:
    """Say which form of the stored body was sent; None when it was none of them."""
    if not body or body == ready.body:
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
    return (*template, rest + HEAD_END), tuple(name for name, _ in found)
