"""Tunnels set up without the machinery: answered, dialled and linked before mitmproxy reads. Tried on mitmproxy 12.2.

Only what nobody could want otherwise: the gate and `connect.read_connect` say when. Whatever goes wrong before the
200 goes the slow way, where the same is asked again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass

from mitmproxy import ctx, hooks
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy.layers.tcp import TcpEndHook, TcpStartHook
from mitmproxy.proxy.server_hooks import (
    ClientConnectedHook,
    ClientDisconnectedHook,
    ServerConnectHook,
    ServerConnectionHookData,
)

from proxy_policies import dial
from proxy_policies.fastlane.caller import Caller
from proxy_policies.fastlane.connect import ANSWER, Connect
from proxy_policies.fastlane.gate import Gate
from proxy_policies.inspection.hosts import Action, Hosts, Protocol, decide
from proxy_policies.passthrough.layer import make_tunnel_flow
from proxy_policies.passthrough.tunnel import Tunnel
from proxy_policies.relay import link

DIAL = 0.5  # seconds; who takes longer is dialled again by mitmproxy, which also says what is wrong

EVENTS = (
    *("client_connected", "client_disconnected"),
    *("http_connect", "http_connected", "http_connect_error", "next_layer"),
    *("server_connect", "server_connected", "server_connect_error", "server_disconnected"),
    *("tcp_start", "tcp_message", "tcp_end", "tcp_error"),
)
"""Whoever of others has one of these hooks wants to see tunnels being set up."""
KNOWN = frozenset(
    {
        *("proxy-protocol", "limits", "dial", "hops", "inspection", "passthrough", "replay", "cache", "home"),
        *("explain", "fastlane"),
    }
)
"""Ours that have: what they would do is done here, or looked for before."""
WISHES = (
    *("proxyauth", "ignore_hosts", "allow_hosts", "tcp_hosts", "connect_addr", "save_stream_file", "proxy_debug"),
)
"""Options with a say in tunnels; any that is set makes all of them go the slow way."""


def gate() -> Gate:
    """Make the gate of this way."""
    return Gate(EVENTS, KNOWN, WISHES, lambda: bool(ctx.options.connection_strategy == "eager"))


def untouched(hosts: Hosts, asked: Connect) -> str:
    """Return why a tunnel stays untouched whatever is said in it; "" when that is not certain, or the name is ours."""
    if asked.host.lower().rstrip(".").endswith(".internal"):
        return ""
    decision = decide(hosts, asked.host, asked.port, Protocol.NOTHING)
    return decision.why if decision.action is Action.UNTOUCHED else ""


@dataclass(kw_only=True)
class Counts(link.ByteCounts):
    """Counts that the tunnel's log lines share."""

    tunnel: Tunnel

    def add_up(self, size: int) -> None:
        """Count bytes from the client."""
        super().add_up(size)
        self.tunnel.count(True, size)

    def add_down(self, size: int) -> None:
        """Count bytes from the target."""
        super().add_down(size)
        self.tunnel.count(False, size)


class SetUp:
    """The tunnel that a caller asked for, `why` it stays untouched, and what mitmproxy knows of its two connections."""

    def __init__(self, caller: Caller, asked: Connect, why: str) -> None:
        self._caller, self._asked, self._why = caller, asked, why
        self._client = caller.client()
        self._server = Server(address=(asked.host, asked.port))

    async def serve(self) -> bool:
        """Be the tunnel, to its end. False: the caller has been told nothing, and is there as before."""
        client = self._client
        await _ask(ClientConnectedHook(client))
        try:
            if client.error:
                self._caller.refuse()
            elif target := await self._dial():
                await self._relay(target)
            else:
                return False
            return True
        finally:
            client.state, client.timestamp_end = ConnectionState.CLOSED, time.time()
            await _ask(ClientDisconnectedHook(client))

    async def _dial(self) -> socket.socket | None:
        """Connect as mitmproxy would; None when somebody objects, or it fails."""
        server = self._server
        server.timestamp_start = time.time()
        await _ask(ServerConnectHook(ServerConnectionHookData(server, self._client)))
        if server.error or server.sockname:
            return None
        with contextlib.suppress(OSError):
            target = await dial.connect(self._asked.host, self._asked.port, timeout=DIAL)
            server.timestamp_tcp_setup, server.state = time.time(), ConnectionState.OPEN
            server.peername, server.sockname = target.getpeername(), target.getsockname()
            return target
        return None

    async def _relay(self, target: socket.socket) -> None:
        """Answer, show the tunnel, and link both sides until the end."""
        self._caller.announce()
        shown = make_tunnel_flow(self._client, self._server, self._why)
        counts = Counts(tunnel=shown.tunnel)
        with self._caller.sock as client, target:
            for sock in (client, target):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            await _ask(TcpStartHook(shown.flow))
            try:
                with contextlib.suppress(OSError):  # gone already
                    await asyncio.get_running_loop().sock_sendall(client, ANSWER)
                    await link.relay_sockets(
                        client, target, rest=self._asked.rest, idle=ctx.options.tcp_timeout, counts=counts
                    )
            finally:
                shown.flow.live = False
                self._server.state, self._server.timestamp_end = ConnectionState.CLOSED, time.time()
                await _ask(TcpEndHook(shown.flow))
                self._caller.leave()


async def _ask(hook: hooks.Hook) -> None:
    await ctx.master.addons.handle_lifecycle(hook)
