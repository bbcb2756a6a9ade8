"""Faster than mitmproxy alone: untouched tunnels at the speed of the kernel, and hooks asked only where they exist."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.connection import Client
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server import ConnectionHandler
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_policies.around_scripts import Hooks
from proxy_policies.background import spawn
from proxy_policies.fastlane import set_up
from proxy_policies.fastlane.caller import Caller
from proxy_policies.fastlane.connect import read_connect
from proxy_policies.fastlane.dispatch import Dispatch
from proxy_policies.fastlane.events import Inline
from proxy_policies.fastlane.express import lane
from proxy_policies.fastlane.handover import Handover
from proxy_policies.fastlane.modes import opens_tunnels, speaks_http
from proxy_policies.fastlane.reception import Onward, Reception
from proxy_policies.fastlane.trims.table import trim
from proxy_policies.inspection.hosts import Hosts
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.settings import Setting, is_starting, one_of
from proxy_policies.workers import identity

with lazy_imports():
    from proxy_policies.fastlane import desks, hits

logger = logging.getLogger(__name__)


class Fastlane:
    """Keeps the fast ways in place while `fast_lane` allows them."""

    name = "fastlane"
    fast_lane = Setting(
        "on",
        one_of("off", "on", "all"),
        "Ways around mitmproxy's machinery: on for tunnels, hooks and plain exchanges, all for fresh cache hits too.",
    )

    def __init__(self) -> None:
        self._handover = Handover(handler_of)
        self._undo: list[Callable[[], None]] = []
        self._dispatch: Dispatch
        self._gate = set_up.gate()
        self._may_go_express = False
        self.express = lane.Tally()
        self._reception = Reception(self)
        self._desks: desks.Desks | None = None

    def configure(self, updated: set[str]) -> None:
        """Put the fast ways in place, or take them out; what was learnt under other options holds no more."""
        self._gate.forget()
        self._may_go_express = lane.is_open()
        if self._desks is None and self.fast_lane == "all":
            self._desks = desks.Desks(hits.Hits(), self._ask_all)
        if self._desks:
            self._desks.forget(self.fast_lane == "all")
        if "fast_lane" in updated:
            self.done()
            if self.fast_lane != "off":
                ways = self._handover.patch.apply(), *trim(), self._quicken_dispatch(), self._reception.take_over()
                self._undo = [undo for undo in ways if undo]

    def _quicken_dispatch(self) -> Callable[[], None]:
        self._dispatch = Dispatch(ctx.master.addons, getattr(ctx.master, "_legacy_log_events", None))
        return self._dispatch.install()

    def running(self) -> None:
        """Say, once, that several workers share no memory."""
        if identity.worker_number() == 1 and getattr(ctx.options, "cache", "") == "memory":
            logger.info("each worker has a cache of its own; --set cache=disk:FOLDER is one for all")

    def done(self) -> None:
        """Leave mitmproxy as it was."""
        while self._undo:
            self._undo.pop()()

    # Callers, of whom mitmproxy knows nothing yet

    def expects(self, mode: ProxyMode) -> bool:
        """Return whether any client of a mode might be served before mitmproxy has it."""
        return opens_tunnels(mode) or (self.fast_lane == "all" and speaks_http(mode))

    def serves(self, caller: Caller) -> bool:
        """Return whether a caller might be served, if it says the right thing; nobody is while mitmproxy starts."""
        if is_starting():
            return False
        if self._sets_tunnels_up(caller.mode) and self._hosts() is not None:
            return True
        at = self._open_desks()
        return bool(at and at.serves(caller.mode, self._dispatch.table))

    def is_trusted_peer(self, address: str) -> bool:
        """Return whether connections from an address begin with a PROXY header."""
        protocol = ctx.master.addons.get("proxy-protocol")
        return protocol is not None and protocol.is_trusted_peer(address)

    def keep(self, caller: Caller, data: bytes, onward: Onward) -> bool:
        """Have a caller answered from the cache, where that is wanted."""
        at = self._open_desks()
        return bool(at and at.keep(caller, data, self._dispatch.table, onward))

    def _open_desks(self) -> desks.Desks | None:
        return self._desks if self._undo and self.fast_lane == "all" else None

    def is_serving(self) -> bool:
        """Return whether anybody is being served whom mitmproxy knows nothing of."""
        return self._reception.is_serving() or bool(self._desks and self._desks.is_sending())

    def attend(self, caller: Caller, data: bytes) -> Coroutine[Any, Any, bool] | None:
        """Serve who asks for a tunnel that is certainly left untouched."""
        asked, hosts = read_connect(data), self._hosts()
        if (
            asked is None or hosts is None or not self._sets_tunnels_up(caller.mode)
        ):  # no more, perhaps, since he came in
            return None
        why = set_up.untouched(hosts, asked)
        return set_up.SetUp(caller, asked, why).serve() if why else None

    def _sets_tunnels_up(self, mode: ProxyMode) -> bool:
        """Return whether tunnels may be set up before mitmproxy reads."""
        return opens_tunnels(mode) and bool(self._undo) and self._gate.is_open(self._dispatch.table)

    def _hosts(self) -> Hosts | None:
        """Return what says which tunnels stay untouched."""
        inspection = ctx.master.addons.get("inspection")
        return None if inspection is None else inspection.inspect_hosts

    # mitmproxy's connections

    async def client_connected(self, client: Client) -> None:
        """Watch the connection for a tunnel to come; answer hits, where nothing else has a say in it."""
        if not self._undo:
            return
        self._handover.watch(client, client)
        watched, handler = self._handover.watched(client, client), handler_of(client)
        if handler:
            inline = Inline(handler.layer, self._ask)
            handler.layer = lane.Express(inline, self._ask, self._goes_express, self.express)  # type: ignore[assignment]
        if handler and watched and not client.error and (at := self._open_desks()):
            at.open(handler, watched, self._dispatch.table)

    def _goes_express(self) -> bool:
        return bool(self._undo) and self._may_go_express

    def _ask(self, hook: StartHook) -> bool:
        return bool(self._undo) and self._dispatch.begin(hook)

    def _ask_all(self, hook: StartHook) -> bool:
        """Ask a hook, and say whether that was all; if not, the rest is done in a task."""
        if self._ask(hook):
            return True
        spawn(ctx.master.addons.handle_lifecycle(hook))
        return False

    def client_disconnected(self, client: Client) -> None:
        """Forget the connection."""
        if self._desks:
            self._desks.close(client)

    def late_hooks(self) -> Hooks:
        """Learn when an answer is as it is sent."""
        return Hooks(self.name, response=self.learn)

    def learn(self, flow: http.HTTPFlow) -> None:
        """Learn from a hit in the slow lane."""
        if self._desks:
            self._desks.note(flow)

    def server_connected(self, data: ServerConnectionHookData) -> None:
        """Watch the connection for a tunnel to come."""
        if self._undo:
            self._handover.watch(data.client, data.server)

    def http_connected(self, flow: http.HTTPFlow) -> None:
        """Take note that what follows is a tunnel."""
        if self._undo:
            self._handover.expect_tunnel(flow.client_conn, flow.server_conn)


def handler_of(client: Client) -> ConnectionHandler | None:
    """Find the handler of a client's connection."""
    handler: ConnectionHandler | None = ctx.master.addons.get("proxyserver").connections.get(client.id)
    return handler
