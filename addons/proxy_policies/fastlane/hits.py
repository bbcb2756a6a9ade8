"""Fresh cache hits answered where bytes are read, before mitmproxy sees them. Tried on mitmproxy 12.2.

A client's bytes are looked at whenever mitmproxy has nothing under way on the connection. A request that was learnt
(`memo`) and that the cache still answers is answered there and then; everything else goes on untouched.
"""

from __future__ import annotations

import io
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.connection import Client
from mitmproxy.proxy.layers.http import HttpLayer
from mitmproxy.proxy.layers.http._http1 import Http1Server
from mitmproxy.proxy.mode_specs import RegularMode, ReverseMode
from mitmproxy.proxy.server import ConnectionHandler
from mitmproxy.utils import human

from proxy_policies import exchange
from proxy_policies.cache.answer import from_memory
from proxy_policies.cache.decision import Request
from proxy_policies.cache.flows import visit_of
from proxy_policies.cache.memory import MemoryStore
from proxy_policies.fastlane.dispatch import Table
from proxy_policies.fastlane.gate import Gate
from proxy_policies.fastlane.memo import HEAD_END, Memo, learn

MEMOS = 4096  # requests remembered
LONGEST_HEAD = 8192  # bytes of a request that is remembered
LONGEST_BODY = 1 << 20  # bytes of an answer that is learnt

EVENTS = ("requestheaders", "request", "responseheaders", "response", "error")
KNOWN = frozenset(
    {
        *(
            "exchanges",
            "proxy-protocol",
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
            "greeting",
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


class Tee:
    """A client's writer that also notes what is written."""

    def __init__(self, writer: Any, lesson: Lesson) -> None:
        self.genuine, self.lesson = writer, lesson

    def __getattr__(self, name: str) -> Any:
        return getattr(self.genuine, name)

    def write(self, data: bytes) -> None:
        """Write, and note it."""
        if len(self.lesson.wire) < LONGEST_BODY:
            self.lesson.wire += data
        self.genuine.write(data)


class Hits:
    """What was learnt, for all connections."""

    def __init__(self) -> None:
        self._memos: OrderedDict[tuple[str, str, bytes], tuple[Memo, str]] = OrderedDict()
        self._gate = Gate(EVENTS, KNOWN, WISHES, _is_unwatched)
        self.count = 0

    def forget(self) -> None:
        """Forget everything: an option has changed."""
        self._memos.clear()
        self._gate.forget()

    def store(self, table: Table) -> MemoryStore | None:
        """Return the cache's store, if hits may be answered from it now."""
        cache = ctx.master.addons.get("cache")
        desk = getattr(cache, "desk", None)
        found = desk.store if desk is not None and isinstance(desk.store, MemoryStore) else None
        return found if found is not None and self._gate.is_open(table) else None

    def answer(self, client: Client, head: bytes, store: MemoryStore) -> bytes | None:
        """Answer a request that was learnt; None when it is the slow lane's."""
        key = _key(client, head)
        memo, story = self._memos.get(key, (None, ""))
        ready = from_memory(store, memo.request, time.time()) if memo else None
        data = memo.write(ready, _held(store)) if memo and ready else None
        if data is None:
            self._memos.pop(key, None)
            return None
        self._memos.move_to_end(key)
        self.count += 1
        _tell(client, story)
        return data

    def learn(self, client: Client, lesson: Lesson, store: MemoryStore) -> None:
        """Learn, if what the slow lane did can be done here."""
        if lesson.request is None or len(lesson.wire) >= LONGEST_BODY:
            return
        ready = from_memory(store, lesson.request, time.time())
        memo = learn(lesson.request, bytes(lesson.wire), ready, _held(store)) if ready else None
        if memo:
            self._memos[_key(client, lesson.head)] = memo, lesson.story
            while len(self._memos) > MEMOS:
                self._memos.popitem(last=False)


def _held(store: MemoryStore) -> Any:
    return lambda ready, coding: store.held(ready.entry, coding)


def _key(client: Client, head: bytes) -> tuple[str, str, bytes]:
    return client.peername[0], client.proxy_mode.full_spec, head


def _is_unwatched() -> bool:
    return getattr(ctx.options, "flow_detail", 0) <= 1 and ctx.master.addons.get("view") is None


def _tell(client: Client, story: str) -> None:
    """Print what mitmdump prints of a flow."""
    dumper = ctx.master.addons.get("dumper")
    if dumper is not None and story:
        address = human.format_address(client.peername)
        dumper.outfp.write(story.replace("\0", address).replace("\1", " " * len(address)))
        dumper.outfp.flush()


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


class Desk:
    """One client connection at which hits are answered."""

    def __init__(self, hits: Hits, table: Table, handler: ConnectionHandler) -> None:
        self._hits, self._table, self._handler = hits, table, handler
        self.lesson: Lesson | None = None
        self._begun = False

    async def serve(self, data: bytes) -> bytes:
        """Answer what can be answered of the bytes that came, and return the rest for mitmproxy."""
        store = self._hits.store(self._table) if self._is_idle() else None
        if store is None:
            self._drop_lesson()
            return data
        self._finish_lesson(store)
        writer: Any = self._handler.transports[self._handler.client].writer
        while data:
            head, end, rest = data.partition(HEAD_END)
            answer = self._hits.answer(self._handler.client, head + end, store) if end else None
            if answer is None:
                break
            writer.write(answer)
            data = rest
        if data:
            self._begin_lesson(data)
        self._handler.timeout_watchdog.register_activity()
        await writer.drain()
        return data

    def note(self, flow: http.HTTPFlow) -> None:
        """Take note of the cache's view of the request that is being learnt; a miss teaches nothing."""
        if self.lesson is None:
            return
        visit = visit_of(flow) if exchange.of(flow).hit else None
        received = exchange.of(flow).received
        lines = self.lesson.head.count(b"\r\n") - 2
        if visit is None or received is None or len(received.raw) != lines:
            self._drop_lesson()
        else:
            self.lesson.request, self.lesson.story = visit.request, story_of(flow)

    def _is_idle(self) -> bool:
        """Say whether mitmproxy waits for a request on this connection: it has answered every one before."""
        client = self._handler.client
        if client.tls or not _speaks_http(client):
            return False
        layers = self._handler.layer.context.layers
        served = next((layer for layer in layers if isinstance(layer, HttpLayer)), None)
        if served is None:
            return not self._begun
        server: Any = served.connections.get(client)
        return (
            isinstance(server, Http1Server)
            and server.state == server.read_headers
            and not server.buf
            and not server._paused
            and not getattr(server, "_lingering", False)
        )

    def _begin_lesson(self, data: bytes) -> None:
        self._begun = True
        if len(data) > LONGEST_HEAD or data.count(HEAD_END) != 1 or not data.endswith(HEAD_END):
            return
        self.lesson = Lesson(data)
        transport = self._handler.transports[self._handler.client]
        transport.writer = Tee(transport.writer, self.lesson)  # type: ignore[assignment]

    def _finish_lesson(self, store: MemoryStore) -> None:
        lesson = self.lesson
        self._drop_lesson()
        if lesson is not None:
            self._hits.learn(self._handler.client, lesson, store)

    def _drop_lesson(self) -> None:
        self.lesson = None
        transport: Any = self._handler.transports.get(self._handler.client)
        if transport is not None and isinstance(transport.writer, Tee):
            transport.writer = transport.writer.genuine


def _speaks_http(client: Client) -> bool:
    mode = client.proxy_mode
    return type(mode) is RegularMode or (isinstance(mode, ReverseMode) and mode.scheme in ("http", "https"))
