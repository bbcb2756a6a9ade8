"""The fast-lane policy: clients are served without mitmproxy's layers where that makes no difference to anybody."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from mitmproxy import command, ctx, flow, http
from mitmproxy.connection import Client, Connection
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers.http import HttpLayer
from mitmproxy.proxy.layers.tls import ClientTLSLayer, ServerTLSLayer
from mitmproxy.proxy.mode_specs import ProxyMode, ReverseMode
from mitmproxy.proxy.server import ConnectionHandler
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from OpenSSL import SSL

from proxy_policies.addresses import is_tunnel_name
from proxy_policies.around_scripts import Hooks
from proxy_policies.background import spawn
from proxy_policies.connection import direct_tunnel, handover
from proxy_policies.connection.accepted_client import AcceptedClient
from proxy_policies.connection.acceptor import Acceptor
from proxy_policies.connection.borrowed_socket import BorrowedSocket
from proxy_policies.connection.client_connection import ClientConnection
from proxy_policies.connection.guard import FastPathGuard
from proxy_policies.connection.http_layer import LayeredHttp, put_before_http
from proxy_policies.connection.layered_client import ConnectedOrigin, LayeredClient
from proxy_policies.connection.modes import opens_tunnels, speaks_http
from proxy_policies.connection.tunnel_takeover import TunnelTakeover
from proxy_policies.dispatch.dispatcher import Dispatch
from proxy_policies.dispatch.inline_hooks import Inline
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.http1.connect_request import read_connect
from proxy_policies.http1.exchange import Exchange
from proxy_policies.http1.heads import read_request
from proxy_policies.http1.origin import Destination
from proxy_policies.inspection.hosts import Hosts
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.patches.connection_handlers import started
from proxy_policies.patches.dialling import strategy_is_chosen
from proxy_policies.patches.request_heads import address_of
from proxy_policies.settings import Setting, is_starting, one_of
from proxy_policies.tuning.all import tune
from proxy_policies.validity import Invalid
from proxy_policies.workers import identity

with lazy_imports():
    from proxy_policies.connection import learned_responses

logger = logging.getLogger(__name__)


class Fastlane:
    """Keeps the ways around mitmproxy's layers in place while `fast_lane` allows them, and makes hooks fast anyway."""

    name = "fastlane"
    fast_paths = NO_OBJECTION
    fast_lane = Setting(
        "on",
        one_of("off", "on"),
        "Ways around mitmproxy's layers: on for tunnels, plain exchanges and fresh cache hits.",
    )

    def __init__(self) -> None:
        self._takeover = TunnelTakeover(handler_of)
        self._undo: list[Callable[[], None]] = []
        """Closes the ways, as long as they are open."""
        self._undo_dispatch: list[Callable[[], None]] = []
        self._dispatch: Dispatch
        self._guards = {
            "tunnels": FastPathGuard("tunnels", _is_eager),
            "exchanges": FastPathGuard("exchanges", _is_strict),
        }
        self._learned: learned_responses.LearnedResponses | None = None
        self._acceptor = Acceptor(speaks_http, self._accepted)
        self._connections: dict[str, ClientConnection] = {}
        """By the id of the client."""
        self.counts = dict.fromkeys(("hits", "tunnels", "exchanges", "handed over"), 0)

    def configure(self, updated: set[str]) -> None:
        """Put the ways in place, or take them out; what was learned under other options holds no more."""
        for guard in self._guards.values():
            guard.forget()
        if self._learned is None and self.fast_lane != "off" and getattr(ctx.options, "cache", "off") != "off":
            self._learned = learned_responses.LearnedResponses()
        if self._learned:
            self._learned.forget()
        if not self._undo_dispatch:
            self._dispatch = Dispatch(ctx.master.addons, getattr(ctx.master, "_legacy_log_events", None))
            self._undo_dispatch = [*tune(), self._dispatch.install()]
        if "fast_lane" in updated:
            self._close_ways()
            if self.fast_lane != "off":
                self._open_ways()

    def _open_ways(self) -> None:
        for begin in (self._takeover.patch.apply, self._acceptor.start):
            if undo := begin():
                self._undo.append(undo)
        self._undo.append(handover.on_handover(self._handed_over))

    def running(self) -> None:
        """Say, once, that several workers share no memory."""
        if identity.worker_number() == 1 and getattr(ctx.options, "cache", "") == "memory":
            logger.info("each worker has a cache of its own; --set cache=disk:FOLDER is one for all")

    def done(self) -> None:
        """Leave mitmproxy as it was."""
        self._close_ways()
        while self._undo_dispatch:
            self._undo_dispatch.pop()()

    def _close_ways(self) -> None:
        while self._undo:
            self._undo.pop()()
        for connection in list(self._connections.values()):
            connection.release()

    @command.command("policy.stats")  # type: ignore[untyped-decorator]
    def stats(self) -> Sequence[str]:
        """How many requests took which way around mitmproxy's layers, and how many clients were handed over to it."""
        return [f"{name}: {count}" for name, count in self._counts().items()]

    async def statistics(self) -> Mapping[str, int]:
        """Return the same, and how many clients are connected."""
        connected = self._connections.keys() | ctx.master.addons.get("proxyserver").connections.keys()
        return {**self._counts(), "clients": len(connected)}

    def _counts(self) -> dict[str, int]:
        return {**self.counts, "hits": self._learned.count if self._learned else 0}

    # Clients

    def _accepted(self, instance: Any, sock: socket.socket, peername: tuple[Any, ...]) -> None:
        if is_starting():
            spawn(self._accept_later(instance, sock, peername))
        else:
            self._accept(instance, sock, peername)

    async def _accept_later(self, instance: Any, sock: socket.socket, peername: tuple[Any, ...]) -> None:
        """Begin once mitmproxy has started: nobody is served before every addon's `running` is through."""
        await started()
        self._accept(instance, sock, peername)

    def _accept(self, instance: Any, sock: socket.socket, peername: tuple[Any, ...]) -> None:
        connection = AcceptedClient(self, instance, sock, peername)
        if not self._serves(instance.mode):
            connection.hand_over()
            return
        self._begin(connection)
        connection.begin(connection.start())

    def _begin(self, connection: ClientConnection) -> None:
        self._connections[connection.client.id] = connection
        if limits := ctx.master.addons.get("limits"):
            limits.add(connection)

    def _serves(self, mode: ProxyMode) -> bool:
        """Return whether any client of a mode may be served."""
        if not self._undo or not speaks_http(mode) or _dials_at_once(mode):
            return False
        return (
            self._is_open("exchanges")
            or (opens_tunnels(mode) and self._is_open("tunnels"))
            or self._store() is not None
        )

    def _is_open(self, path: str) -> bool:
        return bool(self._undo) and self._guards[path].is_open(self._dispatch.table)

    def _store(self) -> Any:
        return self._learned.store(self._dispatch.table) if self._undo and self._learned else None

    def closed(self, connection: ClientConnection) -> None:
        """Take note that a connection is not ours any more."""
        self._connections.pop(connection.client.id, None)
        if limits := ctx.master.addons.get("limits"):
            limits.remove(connection)
            if isinstance(connection, LayeredClient):
                limits.watch(connection.client)

    def handed_over(self, connection: ClientConnection) -> None:
        """Take note that a connection is mitmproxy's from now on."""
        self._count("handed over")
        self.closed(connection)

    def _count(self, name: str) -> None:
        self.counts[name] += 1

    def is_trusted_peer(self, address: str) -> bool:
        """Return whether connections from an address begin with a PROXY header."""
        protocol = ctx.master.addons.get("proxy-protocol")
        return protocol is not None and protocol.is_trusted_peer(address)

    def find(self, client_id: str) -> ClientConnection | None:
        """Return a client's connection, if it is ours."""
        return self._connections.get(client_id)

    def is_serving(self) -> bool:
        """Return whether anybody is being served past mitmproxy; who is idle is sent away."""
        busy = False
        for connection in list(self._connections.values()):
            if connection.is_responding:
                busy = True
            else:
                connection.leave()
        return busy

    # Responders, in order

    def reply(self, connection: ClientConnection) -> bool:
        """Reply to requests whose responses were learned, up to a bound; False when the first is none of them."""
        store = self._store()
        if store is None or self._learned is None:
            return False
        return connection.reply(lambda head: self._learned.respond(connection, head, store))  # type: ignore[union-attr]

    def respond(self, connection: ClientConnection, head: bytes) -> Exchange | Coroutine[Any, Any, bool] | None:
        """Return what responds to a request: a tunnel, an exchange, or None for mitmproxy."""
        if head.startswith(b"CONNECT "):
            return self._tunnel(connection) if isinstance(connection, AcceptedClient) else None
        return self._exchange(connection, head) if self._is_open("exchanges") else None

    def _tunnel(self, connection: AcceptedClient) -> Coroutine[Any, Any, bool] | None:
        hosts = self._hosts()
        if hosts is None or not opens_tunnels(connection.client.proxy_mode) or not self._is_open("tunnels"):
            return None
        asked = read_connect(bytes(connection.stream.received))
        why = direct_tunnel.untouched(hosts, asked) if asked else ""
        if not asked or not why:
            return None
        opened = functools.partial(self._count, "tunnels")
        return direct_tunnel.DirectTunnel(connection.client, connection.stream, asked, why, opened).run()

    def _hosts(self) -> Hosts | None:
        """Return what says which tunnels stay untouched."""
        inspection = ctx.master.addons.get("inspection")
        return None if inspection is None else inspection.inspect_hosts

    def _exchange(self, connection: ClientConnection, head: bytes) -> Exchange | None:
        request = read_request(head)
        if request is None or bool(request.authority) is (connection.destination is not None):
            return None
        try:
            destination = connection.destination or Destination("http", *address_of(request.authority, b"http"))
        except Invalid:
            return None
        if is_tunnel_name(destination.host):
            return None
        self._count("exchanges")
        exchange = Exchange(connection, request, destination)
        exchange.is_recorded = self._learned is not None
        return exchange

    def exchanged(self, connection: ClientConnection, exchange: Exchange, head: bytes) -> None:
        """Learn from an exchange that has ended."""
        if self._learned is not None and exchange.is_learnable and exchange.writer.wire:
            self._learned.learn(connection, head, exchange.flow, b"".join(exchange.writer.wire), self._dispatch.table)

    # Hooks

    def ask(self, hook: StartHook) -> bool:
        """Trigger a hook; False when the rest has to be waited for."""
        return bool(self._undo_dispatch) and self._dispatch.begin(hook)

    async def finish_hook(self, hook: StartHook) -> None:
        """Wait for the rest of a hook, and until a flow is resumed that was intercepted."""
        await ctx.master.addons.handle_lifecycle(hook)
        (data,) = hook.args()
        if isinstance(data, flow.Flow):
            await data.wait_for_resume()

    # mitmproxy's connections

    async def client_connected(self, client: Client) -> None:
        """Watch a connection that mitmproxy has for a tunnel to come, and have its hooks triggered inline."""
        self._prepare(client)

    def _handed_over(self, client: Client) -> None:
        self._prepare(client)
        if limits := ctx.master.addons.get("limits"):
            limits.watch(client)

    def _prepare(self, client: Client) -> None:
        handler = handler_of(client)
        if handler is None:
            return
        if self._undo:
            self._takeover.watch(client, client)
        if self._undo_dispatch:
            handler.layer = Inline(handler.layer, self.ask)  # type: ignore[assignment]

    def late_hooks(self) -> Hooks:
        """Return the hook that sees which layers everybody has chosen."""
        return Hooks("fastlane layers", next_layer=self._layers_chosen)

    def _layers_chosen(self, nextlayer: NextLayer) -> None:
        """Stand before HTTP, unless nothing is around it: such connections were handed over, and are mitmproxy's."""
        context, made = nextlayer.context, nextlayer.layer
        is_bare = isinstance(made, HttpLayer) and len(context.layers) == 2 and speaks_http(context.client.proxy_mode)
        if made is not None and not is_bare and context.client.transport_protocol == "tcp":
            nextlayer.layer = put_before_http(made, self._is_wanted)

    def _is_wanted(self, asked: LayeredHttp) -> bool:
        """Return whether HTTP inside of layers can be responded to without them."""
        client, server = asked.context.client, asked.context.server
        sides = (client, server) if server.connected else (client,)
        return self._is_open("exchanges") and all(self._takeover.watched(client, side) for side in sides)

    async def policy_http_connection(self, asked: LayeredHttp) -> None:
        """Respond to what a client says in HTTP inside of layers, until it leaves or mitmproxy is needed."""
        await asyncio.sleep(0)  # what was read already comes out of the layers first
        try:
            connection = await self._borrow(asked)
        except OSError:
            return
        if limits := ctx.master.addons.get("limits"):
            limits.unwatch(connection.client)
        self._begin(connection)
        connection.start()
        await connection.over

    async def _borrow(self, asked: LayeredHttp) -> LayeredClient:
        client, server, destination = asked.context.client, asked.context.server, asked.destination
        of_client = self._borrowed(client, client, asked.tls_of(ClientTLSLayer))
        of_origin = None
        if destination and server.connected:
            of_origin = self._borrowed(client, server, asked.tls_of(ServerTLSLayer))
            await of_origin.flush()
        await of_client.flush()
        of_client.begin(bytes(asked.said))
        connection = LayeredClient(self, client, of_client, destination, asked.end)
        asked.feed = connection.feed
        connection.origins.first = server
        if destination and of_origin:
            of_origin.begin()
            origin = ConnectedOrigin(client, server, of_origin, functools.partial(_close, client, server))
            connection.adopt(origin, destination)
        return connection

    def _borrowed(self, client: Client, connection: Connection, tls: SSL.Connection | None) -> BorrowedSocket:
        watched = self._takeover.watched(client, connection)
        if watched is None:
            raise OSError("the connection has gone")
        return BorrowedSocket(watched, tls)

    def client_disconnected(self, client: Client) -> None:
        """Let go of a connection that mitmproxy has closed."""
        if isinstance(connection := self._connections.get(client.id), LayeredClient):
            connection.abandon()

    def server_connected(self, data: ServerConnectionHookData) -> None:
        """Watch the connection for a tunnel to come."""
        if self._undo:
            self._takeover.watch(data.client, data.server)

    def http_connected(self, flow: http.HTTPFlow) -> None:
        """Take note that what follows is a tunnel."""
        if self._undo:
            self._takeover.expect_tunnel(flow.client_conn, flow.server_conn)


def _is_eager() -> bool:
    return bool(ctx.options.connection_strategy == "eager")


def _dials_at_once(mode: ProxyMode) -> bool:
    """Return whether the user wants the origin dialled before a request, which mitmproxy does."""
    is_reverse = isinstance(mode, ReverseMode)
    return is_reverse and strategy_is_chosen() and bool(ctx.options.connection_strategy == "eager")


def _is_strict() -> bool:
    return bool(ctx.options.validate_inbound_headers)


def _close(client: Client, connection: Connection) -> None:
    """Have mitmproxy close a connection of a client's."""
    handler = handler_of(client)
    if handler is not None and connection in handler.transports:
        handler.close_connection(connection)


def handler_of(client: Client) -> ConnectionHandler | None:
    """Find mitmproxy's handler of a client's connection."""
    handler: ConnectionHandler | None = ctx.master.addons.get("proxyserver").connections.get(client.id)
    return handler
