"""What is known of fresh cache hits, for all connections: which requests can be answered without mitmproxy, and how.

The slow lane teaches it (`memo`); `desk` is where a client's bytes are looked at. Tried on mitmproxy 12.2.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

from mitmproxy import ctx, http
from mitmproxy.utils import human

from proxy_policies.cache.decision import Request
from proxy_policies.cache.response import lookup_now
from proxy_policies.cache.store import SyncView
from proxy_policies.fastlane.dispatch import Table
from proxy_policies.fastlane.gate import Gate
from proxy_policies.fastlane.memo import HEAD_END, Memo, Standing, learn

MEMOS = 4096  # requests remembered
LONGEST_BODY = 1 << 20  # bytes of an answer that is learnt
FULL = 65536  # bytes waiting for a client to take them, beyond which it is answered nothing more: asyncio's mark
ALONE = 16384  # bytes of a body that is not worth copying to go out together with its head

EVENTS = ("client_connected", "requestheaders", "request", "responseheaders", "response", "error")
KNOWN = frozenset(
    {
        *(
            "flow-state",
            "proxy-protocol",
            "limits",
            "hops",
            "inspection",
            "passthrough",
            "request-rules",
            "replay",
            "capture",
            "entity-tags",
            "cache",
        ),
        *(
            "home",
            "work",
            "encoding",
            "response-rules",
            "explain",
            "streaming",
            "fastlane",
            "dial",
            "patches",
            "startup-summary",
        ),
    }
)
"""Ours whose say is in what was learnt, or which have none once `WISHES` are empty."""
WISHES = (
    *("proxyauth", "stickycookie", "stickyauth", "modify_headers", "modify_body", "map_local", "map_remote"),
    *(
        "block_list",
        "server_replay",
        "save_stream_file",
        "hardump",
        "intercept",
        "dumper_filter",
        "anticache",
        "anticomp",
    ),
    *("header_rules", "cache_rules", "encode_rules", "capture_file", "replay_file", "access_rules", "access_log"),
    "proxy_debug",
)
"""Options by which two equal requests may fare differently, or by which somebody wants to see each of them."""


@dataclass(slots=True)
class Lesson:
    """A request on its way through the slow lane, and what is sent in answer to it."""

    head: bytes
    request: Request | None = None
    story: str = ""
    wire: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Learnt:
    """A request that can be answered here, and the answer that stands for the moment."""

    memo: Memo
    story: str
    standing: Standing | None = None


Answered = tuple[bytes, bytes, bool]
"""Head, body, and whether the connection ends with it."""


@dataclass(slots=True)
class Served:
    """What is to be sent in answer to some requests, and what was left of them."""

    pieces: list[bytes]
    size: int
    """Bytes of all pieces."""
    rest: bytes
    closes: bool
    """The connection ends with it, and with it what is left."""


class Visitor(Protocol):
    """Whom a request is from: by `who` the answer may differ, by `address` what is printed of it."""

    who: str
    address: str


class Hits:
    """What was learnt, for all connections."""

    def __init__(self) -> None:
        self._learnt: OrderedDict[tuple[str, bytes], Learnt] = OrderedDict()
        self._gate = Gate(EVENTS, KNOWN, WISHES, _is_unwatched)
        self._is_flush_due = False
        self.is_on = False
        self.count = 0

    def forget(self, is_on: bool) -> None:
        """Forget everything: an option has changed, perhaps the one by which hits are answered at all."""
        self.is_on = is_on
        self._learnt.clear()
        self._gate.forget()

    def store(self, table: Table) -> SyncView | None:
        """Return what the cache has at hand, if hits may be answered from it now."""
        if not self.is_on or not self._gate.is_open(table):
            return None
        cache = ctx.master.addons.get("cache")
        desk = getattr(cache, "engine", None)
        return desk.store.sync_view if desk is not None else None

    def knows(self, visitor: Visitor, data: bytes) -> bool:
        """Return whether the bytes that came begin with a request that was learnt."""
        return (visitor.who, data[: data.find(HEAD_END) + len(HEAD_END)]) in self._learnt

    def serve(self, visitor: Visitor, data: bytes, store: SyncView) -> Served:
        """Answer what can be answered of the bytes that came, up to a bound."""
        served, at = Served([], 0, data, False), 0
        while at < len(data) and served.size < FULL and not served.closes:
            end = data.find(HEAD_END, at) + len(HEAD_END)  # without an end: nothing, or three bytes, nobody's head
            found = self.answer(visitor, data[at:end], store)
            if found is None:
                break
            head, body, served.closes = found
            served.pieces += (head, body)
            served.size += len(head) + len(body)
            at = end
        served.rest = data[at:]
        return served

    def answer(self, desk: Visitor, head: bytes, store: SyncView) -> Answered | None:
        """Answer a request that was learnt; None when it is the slow lane's."""
        learnt = self._learnt.get(key := (desk.who, head))
        if learnt is None:
            return None
        standing, now = learnt.standing, time.time()
        if standing is None or not standing.holds(store, now):
            standing = learnt.standing = learnt.memo.stand(store, now)
        body = standing.body.read(store) if standing else None
        if standing is None or body is None:
            del self._learnt[key]
            return None
        self._learnt.move_to_end(key)
        self.count += 1
        if learnt.story:
            self._tell(desk, learnt.story)
        return standing.head, body, learnt.memo.closes

    def learn(self, desk: Visitor, lesson: Lesson, store: SyncView) -> None:
        """Learn, if what the slow lane did can be done here."""
        if lesson.request is None or len(lesson.wire) >= LONGEST_BODY:
            return
        ready = lookup_now(store, lesson.request, time.time())
        memo = learn(lesson.request, bytes(lesson.wire), ready, _held(store)) if ready else None
        if memo:
            self._learnt[desk.who, lesson.head] = Learnt(memo, lesson.story)
            while len(self._learnt) > MEMOS:
                self._learnt.popitem(last=False)

    def _tell(self, desk: Visitor, story: str) -> None:
        """Print what mitmdump prints of a flow; a burst of them is flushed once."""
        dumper = ctx.master.addons.get("dumper")
        if dumper is None:
            return
        dumper.outfp.write(story.replace("\0", desk.address).replace("\1", " " * len(desk.address)))
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush, dumper.outfp)

    def _flush(self, printed: IO[str]) -> None:
        self._is_flush_due = False
        printed.flush()


def _held(store: SyncView) -> Any:
    return lambda ready, coding: store.get_body(ready.entry, coding)


def _is_unwatched() -> bool:
    return getattr(ctx.options, "flow_detail", 0) <= 1 and ctx.master.addons.get("view") is None


def story_of(flow: http.HTTPFlow) -> str:
    """Have mitmdump tell of a flow; the client's address is NUL, its length in spaces SOH."""
    dumper = ctx.master.addons.get("dumper")
    if dumper is None or not dumper.match(flow):
        return ""
    genuine, dumper.outfp = dumper.outfp, io.StringIO()
    try:
        dumper.echo_flow(flow)
        told: str = dumper.outfp.getvalue()
    finally:
        dumper.outfp = genuine
    address = human.format_address(flow.client_conn.peername)
    first, newline, rest = told.replace(address, "\0", 1).partition("\n")
    pad = len(rest) - len(rest.lstrip(" "))
    return first + newline + ("\1" + rest[len(address) :] if pad >= len(address) else rest)
