"""Answers fresh cache hits without calling hooks, from responses learned earlier.

A response is learned from an exchange with all its hooks (`response_template`); the next identical request is answered
with the same bytes, as long as the cache decides the same.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import IO, Any, Protocol

from mitmproxy import ctx, http
from mitmproxy.connection import Client
from mitmproxy.utils import human

from proxy_policies.cache.response import lookup_now
from proxy_policies.cache.stores.store import SyncView
from proxy_policies.cache.transactions import transaction_of
from proxy_policies.connection.response_template import RenderedResponse, ResponseTemplate, learn
from proxy_policies.exchange.exchange import Exchange
from proxy_policies.finished import reporting
from proxy_policies.flows import flow_state

MAX_LEARNED = 4096  # requests remembered
MAX_WIRE = 1 << 20  # bytes of a learned response
LONGEST_HEAD = 8192  # bytes of a learned request


@dataclass(slots=True)
class LearnedResponse:
    """A request that can be answered here, and its current response."""

    template: ResponseTemplate
    line: str
    """mitmdump's output for it, with NUL for the client's address and SOH for as many spaces as that is long."""
    record: reporting.Record | None
    """The record of its being sent again, if there are subscribers."""
    rendered: RenderedResponse | None = None


ResponseParts = tuple[bytes, bytes, bool]
"""Head, body, and whether the connection ends with the response."""


class HitClient(Protocol):
    """The client of a request: the response may depend on `who`, the output on `address`."""

    @property
    def who(self) -> str:
        """The client and its proxy mode."""

    @property
    def address(self) -> str:
        """The address as mitmdump prints it."""

    client: Client


class LearnedResponses:
    """Learned responses, shared by all connections."""

    def __init__(self) -> None:
        self.known: OrderedDict[tuple[str, bytes], LearnedResponse] = OrderedDict()
        """By client and head."""
        self._is_flush_due = False
        self.count = 0
        """Number of responses sent."""

    def forget(self) -> None:
        """Forget everything: an option has changed."""
        self.known.clear()

    def respond(self, peer: HitClient, head: bytes, store: SyncView) -> ResponseParts | None:
        """Return the learned response to a request; None if there is none."""
        learned = self.known.get(key := (peer.who, head))
        if learned is None:
            return None
        rendered, now = learned.rendered, time.time()
        if rendered is None or not rendered.holds(store, now):
            rendered = learned.rendered = learned.template.render(store, now)
        body = rendered.body.read(store) if rendered else None
        if rendered is None or body is None:
            del self.known[key]
            return None
        self.known.move_to_end(key)
        self.count += 1
        if learned.line:
            self._print(peer, learned.line)
        if learned.record is not None:
            reporting.UNDELIVERED.add((learned.record, peer.client.peername, now))
        return rendered.head, body, learned.template.closes

    def learn(self, peer: HitClient, head: bytes, exchange: Exchange) -> None:
        """Learn from an exchange that the cache answered, if it can be repeated here; misses are ignored."""
        flow, wire = exchange.flow, b"".join(exchange.writer.wire or ())
        state, store = flow_state.state_of(flow), sync_view()
        transaction = transaction_of(flow) if state.hit else None
        if transaction is None or store is None or len(wire) >= MAX_WIRE or len(head) > LONGEST_HEAD:
            return
        ready = lookup_now(store, transaction.request, time.time())
        template = learn(transaction.request, wire, ready, _held(store)) if ready else None
        if template:
            record = exchange.report.repeated() if exchange.report else None
            self.known[peer.who, head] = LearnedResponse(template, line_of(flow), record)
            while len(self.known) > MAX_LEARNED:
                self.known.popitem(last=False)

    def _print(self, peer: HitClient, line: str) -> None:
        """Print mitmdump's output for a flow, flushing once per turn of the event loop."""
        dumper = ctx.master.addons.get("dumper")
        if dumper is None:
            return
        dumper.outfp.write(line.replace("\0", peer.address).replace("\1", " " * len(peer.address)))
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush, dumper.outfp)

    def _flush(self, printed: IO[str]) -> None:
        self._is_flush_due = False
        printed.flush()


def sync_view() -> SyncView | None:
    """Return the part of the cache's store that can answer without waiting; None if there is none."""
    engine = getattr(ctx.master.addons.get("cache"), "engine", None)
    return engine.store.sync_view if engine is not None else None


def _held(store: SyncView) -> Any:
    return lambda ready, coding: store.get_body(ready.entry, coding)


def line_of(flow: http.HTTPFlow) -> str:
    """Return mitmdump's output for a flow, with NUL for the client's address and SOH for spaces of its length."""
    dumper = ctx.master.addons.get("dumper")
    if dumper is None or not dumper.match(flow):
        return ""
    genuine, dumper.outfp = dumper.outfp, io.StringIO()
    try:
        dumper.echo_flow(flow)
        printed: str = dumper.outfp.getvalue()
    finally:
        dumper.outfp = genuine
    address = human.format_address(flow.client_conn.peername)
    first, newline, rest = printed.replace(address, "\0", 1).partition("\n")
    pad = len(rest) - len(rest.lstrip(" "))
    return first + newline + ("\1" + rest[len(address) :] if pad >= len(address) else rest)
