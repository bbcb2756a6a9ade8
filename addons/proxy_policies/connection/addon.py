"""The fast paths: serves clients without mitmproxy's layers where that makes no difference to any addon."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mitmproxy import command, ctx, http
from mitmproxy.connection import Client
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_policies.background.tasks import spawn
from proxy_policies.byte_streams.byte_stream import SocketStream
from proxy_policies.connection import handover, layered_client
from proxy_policies.connection.accepted_client import AcceptedClient
from proxy_policies.connection.acceptor import Acceptor
from proxy_policies.connection.client_connection import ClientConnection
from proxy_policies.connection.fast_path_guard import speaks_http
from proxy_policies.connection.http_layer import LayeredHttp, has_layers_around, put_before_http
from proxy_policies.connection.responders import Responders
from proxy_policies.connection.tunnel_takeover import TunnelTakeover
from proxy_policies.dispatch.around_scripts import Hooks
from proxy_policies.dispatch.dispatcher import Dispatch, Inline
from proxy_policies.exchange.exchange import Exchange
from proxy_policies.exchange.origin_connections import OriginPool
from proxy_policies.exchange.tls_handshake import Trigger
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.limits.addon import Limits
from proxy_policies.patches.client_handlers import handler_of
from proxy_policies.proxy_protocol.addon import ProxyProtocol
from proxy_policies.settings import Setting, parse_switch
from proxy_policies.start_up.starting import is_starting, started
from proxy_policies.tuning.all import tune
from proxy_policies.worker_number import worker_number

logger = logging.getLogger(__name__)


class Fastlane:
    """Provides the paths around mitmproxy's layers while `fast_lane` is on, and always speeds up hooks."""

    name = "fastlane"
    fast_paths = NO_OBJECTION
    fast_lane = Setting(
        "on",
        parse_switch,
        "Serve tunnels, plain exchanges and fresh cache hits without mitmproxy's layers: on or off.",
    )

    def __init__(self) -> None:
        self._responders = Responders()
        self._takeover = TunnelTakeover()
        self._acceptor = Acceptor(self._accepted)
        self.origin_pool = OriginPool()
        self.connections: dict[str, ClientConnection] = {}
        """The clients that are served without mitmproxy's layers, by their ids."""
        self._undo_paths: list[Callable[[], None]] = []
        """Undo functions of the paths that are open."""
        self._dispatch: Dispatch
        self._undo_always: list[Callable[[], None]] = []
        """Undo functions of what does not depend on `fast_lane`."""
        self._is_starting = True

    def configure(self, updated: set[str]) -> None:
        """Open or close the paths, and forget what was learned under other options."""
        is_on = self.fast_lane
        self.origin_pool.close()
        self._responders.reconsider(learns=is_on and getattr(ctx.options, "cache", "off") != "off")
        if not self._undo_always:
            self._dispatch = Dispatch(ctx.master.addons, getattr(ctx.master, "_legacy_log_events", None))
            self._undo_always = [*tune(), self._dispatch.install(), self._acceptor.start()]
        if "fast_lane" in updated:
            self._close()
            if is_on:
                self._open()

    def _open(self) -> None:
        self._responders.table = self._dispatch.table
        if undo := self._takeover.patch.apply():
            self._undo_paths.append(undo)
        self._undo_paths.append(handover.on_handover(self._continued))

    def _close(self) -> None:
        self._responders.table = None
        while self._undo_paths:
            self._undo_paths.pop()()
        for connection in list(self.connections.values()):
            connection.release()

    def running(self) -> None:
        """Log, once, that workers share no memory."""
        if worker_number() == 1 and getattr(ctx.options, "cache", "") == "memory":
            logger.info("each worker has a cache of its own; --set cache=disk:FOLDER is one for all")

    def done(self) -> None:
        """Restore mitmproxy."""
        self._close()
        self.origin_pool.close()
        while self._undo_always:
            self._undo_always.pop()()

    @command.command("policy.stats")  # type: ignore[untyped-decorator]
    def stats(self) -> Sequence[str]:
        """How many requests took which way around mitmproxy's layers, and how many clients were handed over to it."""
        return [f"{name}: {count}" for name, count in self._responders.counts().items()]

    async def statistics(self) -> Mapping[str, int]:
        """Return the same counts, and how many clients are connected."""
        connected = self.connections.keys() | ctx.master.addons.get("proxyserver").connections.keys()
        return {**self._responders.counts(), "clients": len(connected)}

    # Clients

    def _accepted(self, instance: Any, sock: socket.socket, peername: tuple[Any, ...]) -> None:
        self._is_starting = self._is_starting and is_starting()
        if self._is_starting:
            spawn(self._accept_later(instance, sock, peername))
        else:
            self._accept(instance, sock, peername)

    async def _accept_later(self, instance: Any, sock: socket.socket, peername: tuple[Any, ...]) -> None:
        """Wait until mitmproxy has started: no client is served before every addon's `running` has finished."""
        await started()
        self._accept(instance, sock, peername)

    def _accept(self, instance: Any, sock: socket.socket, peername: tuple[Any, ...]) -> None:
        if not self._responders.paths(instance.mode):
            if self.fast_lane and speaks_http(instance.mode):
                self._responders.count("handed over")
            handover.begin_client(instance, SocketStream(sock), peername)
            return
        connection = AcceptedClient(self, self._responders, instance, sock, peername, _protocol_of(peername[0]))
        self._keep(connection)
        connection.begin(connection.start())

    def _keep(self, connection: ClientConnection) -> None:
        self.connections[connection.client.id] = connection
        if limits := _limits():
            limits.add(connection.client, connection)

    def closed(self, connection: ClientConnection) -> None:
        """Forget a connection that is no longer ours."""
        self.connections.pop(connection.client.id, None)
        if limits := _limits():
            limits.remove(connection.client)

    def handed_over(self, connection: ClientConnection) -> None:
        """Note that mitmproxy owns a connection from now on."""
        self._responders.count("handed over")
        self.closed(connection)
        if limits := _limits():
            limits.watch(connection.client)

    def find(self, client_id: str) -> ClientConnection | None:
        """Return a client's connection if it is ours."""
        return self.connections.get(client_id)

    def exchanges(self) -> list[Exchange]:
        """Return the exchanges in progress."""
        return [connection.exchange for connection in self.connections.values() if connection.exchange is not None]

    def is_serving(self) -> bool:
        """Return whether any client is being served without mitmproxy; close idle connections."""
        busy = False
        for connection in list(self.connections.values()):
            if connection.is_responding:
                busy = True
            else:
                connection.leave()
        return busy

    # Hooks

    @property
    def trigger(self) -> Trigger:
        """Triggers a hook, and waits until every addon has handled it."""
        return self._dispatch.trigger

    # mitmproxy's connections

    async def client_connected(self, client: Client) -> None:
        """Watch a connection of mitmproxy's that may become a tunnel, and trigger its hooks inline."""
        if client.id not in self.connections:
            self._prepare(client)

    def _continued(self, client: Client) -> None:
        """Note that mitmproxy now has a handler for a client that the addons already know."""
        self._prepare(client)
        if limits := _limits():
            limits.watch(client)

    def _prepare(self, client: Client) -> None:
        handler = handler_of(client.id)
        if handler is None:
            return
        if self._undo_paths:
            self._takeover.watch(client, client)
        if self._undo_always:
            handler.layer = Inline(handler.layer, self._dispatch.trigger_now)  # type: ignore[assignment]

    def late_hooks(self) -> Hooks:
        """Return the hook that runs after all addons have chosen layers."""
        return Hooks("fastlane layers", next_layer=self._layers_chosen)

    def _layers_chosen(self, nextlayer: NextLayer) -> None:
        """Put our layer before HTTP, unless no layers surround it: such connections were handed over to mitmproxy."""
        if nextlayer.layer is not None and has_layers_around(nextlayer.context, nextlayer.layer):
            nextlayer.layer = put_before_http(nextlayer.layer, self._is_wanted)

    def _is_wanted(self, asked: LayeredHttp) -> bool:
        """Return whether requests inside layers can be responded to without them."""
        return self._responders.is_open("exchanges") and layered_client.can_borrow(asked, self._takeover)

    async def policy_http_connection(self, asked: LayeredHttp) -> None:
        """Respond to a client's requests inside layers until it leaves or mitmproxy is needed."""
        await asyncio.sleep(0)  # let data already read leave the layers first
        try:
            connection = await layered_client.borrow(asked, self._takeover, self, self._responders)
        except OSError:
            return
        self._keep(connection)
        connection.start()
        await connection.over

    def client_disconnected(self, client: Client) -> None:
        """End our handling of a connection that mitmproxy has closed."""
        if isinstance(connection := self.connections.get(client.id), layered_client.LayeredClient):
            connection.disconnected()

    def server_connected(self, data: ServerConnectionHookData) -> None:
        """Watch the connection, which may become a tunnel."""
        if self._undo_paths:
            self._takeover.watch(data.client, data.server)

    def http_connected(self, flow: http.HTTPFlow) -> None:
        """Note that a tunnel follows."""
        if self._undo_paths:
            self._takeover.expect_tunnel(flow.client_conn, flow.server_conn)


def _protocol_of(address: str) -> ProxyProtocol | None:
    """Return the policy that handles PROXY headers if connections from an address begin with one."""
    protocol: ProxyProtocol | None = ctx.master.addons.get("proxy-protocol")
    return protocol if protocol and protocol.proxy_protocol and protocol.is_trusted_peer(address) else None


def _limits() -> Limits | None:
    limits: Limits | None = ctx.master.addons.get("limits")
    return limits
