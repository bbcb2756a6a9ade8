"""All client connections at which hits are answered: who keeps us waiting too long is sent away."""

from __future__ import annotations

import asyncio
import sys
import time

from mitmproxy import ctx, http
from mitmproxy.connection import Client
from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.fastlane import front, patience
from proxy_policies.fastlane.desk import Desk, speaks_http
from proxy_policies.fastlane.dispatch import Table
from proxy_policies.fastlane.handover import Watched
from proxy_policies.fastlane.hits import Hits

COUNTED = 16  # new connections, as a share of the most that may idle, between two counts of the idle


class Desks:
    """Opens a desk for each connection, looks round once a second, and closes what `patience` has run out of."""

    def __init__(self, hits: Hits) -> None:
        self._hits = hits
        self._desks: dict[Client, Desk] = {}
        self._limits: patience.Limits | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._uncounted = 0

    def forget(self, is_on: bool) -> None:
        """Forget what was learnt, for an option has changed; and say whether hits are answered from now on."""
        self._hits.forget(is_on)

    def open(self, handler: ConnectionHandler, watched: Watched, table: Table) -> Desk | None:
        """Answer a client's requests, if it speaks plain HTTP; gives the desk if that can be done at this moment."""
        if not speaks_http(handler.client):
            return None
        desk = self._desks[handler.client] = Desk(self._hits, table, handler, watched)
        watched.front = desk.serve
        front.stand(watched, desk.answer)
        limits = self._limits = self._limits or patience.limits_for(_files())
        self._timer = self._timer or self._look_in(limits.between_looks)
        self._uncounted += 1
        if len(self._desks) > limits.idle_most and self._uncounted > limits.idle_most // COUNTED:
            self._make_room(limits.idle_most)
        return desk if self._hits.store(table) is not None else None

    def close(self, client: Client) -> None:
        """Forget a connection that is closed."""
        if desk := self._desks.pop(client, None):
            desk.finish()

    def note(self, flow: http.HTTPFlow) -> None:
        """Take note of an answer of the slow lane."""
        if desk := self._desks.get(flow.client_conn):
            desk.note(flow)

    def _look_in(self, seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._look_round)

    def _look_round(self) -> None:
        limits, now = self._limits or patience.Limits(), time.time()
        for desk in self._desks.values() if self._hits.is_on else ():
            wait, waited = desk.waits(now)
            if waited > min(limits.seconds(wait), ctx.options.tcp_timeout):
                desk.close(wait, waited)
        self._timer = self._look_in(limits.between_looks) if self._desks else None

    def _make_room(self, most: int) -> None:
        """Close the connections that wait for a request longest, where there are too many of them."""
        self._uncounted, now = 0, time.time()
        waiting = [(desk, *desk.waits(now)) for desk in self._desks.values()]
        idle = [one for one in waiting if one[1] in (patience.Wait.REQUEST, patience.Wait.HEAD)]
        for at in patience.idlest([waited for _, _, waited in idle], most):
            desk, wait, waited = idle[at]
            desk.close(wait, waited)


def _files() -> int:
    """Give the number of files that this process may open."""
    try:
        import resource
    except ImportError:  # Windows
        return 1024
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
