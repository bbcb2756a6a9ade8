"""All client connections on which hits are answered."""

from __future__ import annotations

import time

from mitmproxy import ctx, http
from mitmproxy.connection import Client
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.fastlane import front
from proxy_policies.fastlane.caller import Caller
from proxy_policies.fastlane.counter import Ask, Counter
from proxy_policies.fastlane.desk import Desk
from proxy_policies.fastlane.dispatch import Table
from proxy_policies.fastlane.handover import Watched
from proxy_policies.fastlane.hits import Hits
from proxy_policies.fastlane.modes import speaks_http
from proxy_policies.fastlane.reception import Onward
from proxy_policies.limits.addon import Limits
from proxy_policies.limits.waits import Wait


class Desks:
    """Has each connection answered, by a counter before mitmproxy knows of it, then at a desk before its layers."""

    def __init__(self, hits: Hits, ask: Ask) -> None:
        self._hits, self._ask = hits, ask
        self._desks: dict[Client, Desk] = {}
        self._counters: set[Counter] = set()

    def forget(self, is_on: bool) -> None:
        """Forget what was learnt, for an option has changed; and say whether hits are answered from now on."""
        self._hits.forget(is_on)
        if not is_on:
            for counter in list(self._counters):
                counter.dismiss()

    def serves(self, mode: ProxyMode, table: Table) -> bool:
        """Return whether the requests of a mode's clients can be answered at this moment."""
        return speaks_http(mode) and self._hits.store(table) is not None

    def keep(self, caller: Caller, data: bytes, table: Table, onward: Onward) -> bool:
        """Answer a caller that has said `data`, until it goes onward; False when that cannot be done at this moment."""
        if not self.serves(caller.mode, table):
            return False
        counter = Counter(caller, self._hits, table, self._ask, onward, self._gone)
        self._counters.add(counter)
        if limits := _limits():
            limits.add(counter)
        counter.start(data)
        return True

    def open(self, handler: ConnectionHandler, watched: Watched, table: Table) -> None:
        """Answer a client's requests, if it speaks plain HTTP."""
        if not speaks_http(handler.client.proxy_mode):
            return
        desk = self._desks[handler.client] = Desk(self._hits, table, handler, watched, _touch)
        watched.front = desk.serve
        front.stand(watched, desk.answer)

    def _gone(self, counter: Counter) -> None:
        self._counters.discard(counter)
        if limits := _limits():
            limits.remove(counter)

    def close(self, client: Client) -> None:
        """Forget a connection that is closed."""
        if desk := self._desks.pop(client, None):
            desk.finish()

    def is_sending(self) -> bool:
        """Return whether a client that mitmproxy does not know of is being answered."""
        now = time.monotonic()
        return any(counter.waits(now)[0] is Wait.READER for counter in self._counters)

    def note(self, flow: http.HTTPFlow) -> None:
        """Take note of an answer of the slow lane."""
        if desk := self._desks.get(flow.client_conn):
            desk.note(flow)


def _limits() -> Limits | None:
    limits: Limits | None = ctx.master.addons.get("limits")
    return limits


def _touch(client: Client) -> None:
    if limits := _limits():
        limits.touch(client)
