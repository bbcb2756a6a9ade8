"""All client connections on which hits are answered: who keeps us waiting too long is sent away."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Protocol

from mitmproxy import ctx, http
from mitmproxy.connection import Client
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.fastlane import front, patience
from proxy_policies.fastlane.caller import Caller
from proxy_policies.fastlane.counter import Ask, Counter
from proxy_policies.fastlane.desk import Desk
from proxy_policies.fastlane.dispatch import Table
from proxy_policies.fastlane.handover import Watched
from proxy_policies.fastlane.hits import Hits
from proxy_policies.fastlane.modes import speaks_http
from proxy_policies.fastlane.reception import Onward

COUNTED = 16  # new connections, as a share of the most that may idle, between two counts of the idle


class Seat(Protocol):
    """A connection that may wait for its client."""

    def waits(self, now: float) -> tuple[patience.Wait, float]:
        """Say what the connection waits for, and for how many seconds it has."""

    def close(self, wait: patience.Wait, waited: float) -> None:
        """Close the connection, and say why."""


class Desks:
    """Has each connection answered, by a counter before mitmproxy knows of it, then at a desk before its layers.

    Looks round once a second, and closes what `patience` has run out of.
    """

    def __init__(self, hits: Hits, ask: Ask) -> None:
        self._hits, self._ask = hits, ask
        self._desks: dict[Client, Desk] = {}
        self._counters: set[Counter] = set()
        self._limits: patience.Limits | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._uncounted = 0

    def forget(self, is_on: bool) -> None:
        """Forget what was learnt, for an option has changed; and say whether hits are answered from now on."""
        self._hits.forget(is_on)
        if not is_on:
            for counter in list(self._counters):
                counter.dismiss()

    def serves(self, mode: ProxyMode, table: Table) -> bool:
        """Say whether the requests of a mode's clients can be answered at this moment."""
        return speaks_http(mode) and self._hits.store(table) is not None

    def keep(self, caller: Caller, data: bytes, table: Table, onward: Onward) -> bool:
        """Answer a caller that has said `data`, until it goes onward; False when that cannot be done at this moment."""
        if not self.serves(caller.mode, table):
            return False
        self._count_one()
        counter = Counter(caller, self._hits, table, self._ask, onward, self._counters.discard)
        self._counters.add(counter)
        counter.start(data)
        return True

    def open(self, handler: ConnectionHandler, watched: Watched, table: Table) -> None:
        """Answer a client's requests, if it speaks plain HTTP."""
        if not speaks_http(handler.client.proxy_mode):
            return
        desk = self._desks[handler.client] = Desk(self._hits, table, handler, watched)
        watched.front = desk.serve
        front.stand(watched, desk.answer)
        self._count_one()

    def _count_one(self) -> None:
        limits = self._limits = self._limits or patience.limits_for(_files())
        self._timer = self._timer or self._look_in(limits.between_looks)
        self._uncounted += 1
        if len(self._desks) + len(self._counters) > limits.idle_most and self._uncounted > limits.idle_most // COUNTED:
            self._make_room(limits.idle_most)

    def _seats(self) -> list[Seat]:
        return [*self._counters, *self._desks.values()]

    def close(self, client: Client) -> None:
        """Forget a connection that is closed."""
        if desk := self._desks.pop(client, None):
            desk.finish()

    def is_sending(self) -> bool:
        """Say whether a client that mitmproxy does not know of is being answered."""
        now = time.time()
        return any(counter.waits(now)[0] is patience.Wait.READER for counter in self._counters)

    def note(self, flow: http.HTTPFlow) -> None:
        """Take note of an answer of the slow lane."""
        if desk := self._desks.get(flow.client_conn):
            desk.note(flow)

    def _look_in(self, seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._look_round)

    def _look_round(self) -> None:
        limits, now = self._limits or patience.Limits(), time.time()
        for seat in self._seats() if self._hits.is_on else ():
            wait, waited = seat.waits(now)
            if waited > min(limits.seconds(wait), ctx.options.tcp_timeout):
                seat.close(wait, waited)
        self._timer = self._look_in(limits.between_looks) if self._desks or self._counters else None

    def _make_room(self, most: int) -> None:
        """Close the connections that wait for a request longest, where there are too many of them."""
        self._uncounted, now = 0, time.time()
        waiting = [(seat, *seat.waits(now)) for seat in self._seats()]
        idle = [one for one in waiting if one[1] in (patience.Wait.REQUEST, patience.Wait.HEAD)]
        for at in patience.idlest([waited for _, _, waited in idle], most):
            seat, wait, waited = idle[at]
            seat.close(wait, waited)


def _files() -> int:
    """Give the number of files that this process may open."""
    try:
        import resource
    except ImportError:  # Windows
        return 1024
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
