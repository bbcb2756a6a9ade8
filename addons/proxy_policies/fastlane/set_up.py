"""Tunnels set up without the machinery: answered, dialled and linked before mitmproxy reads. Tried on mitmproxy 12.2.

Only what nobody could want otherwise: the gate and `connect.read_connect` say when. Whatever goes wrong before the
200 goes the slow way, with every byte back in its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

from mitmproxy import ctx
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy.layers.tcp import TcpEndHook, TcpStartHook
from mitmproxy.proxy.mode_specs import RegularMode
from mitmproxy.proxy.server import ConnectionHandler
from mitmproxy.proxy.server_hooks import ServerConnectHook, ServerConnectionHookData

from proxy_policies import dial
from proxy_policies.fastlane.connect import ANSWER, Connect, read_connect
from proxy_policies.fastlane.gate import Gate
from proxy_policies.fastlane.handover import Watched
from proxy_policies.inspection.hosts import Act, Hosts, Seen, decide
from proxy_policies.passthrough.layer import TunnelLayer
from proxy_policies.relay import link
from proxy_policies.relay.ends import End

DIAL = 0.5  # seconds; who takes longer is dialled again by mitmproxy, which also says what is wrong

EVENTS = (
    "client_connected",  # it may come after ours, and refuse the client
    *("http_connect", "http_connected", "http_connect_error", "next_layer"),
    *("server_connect", "server_connected", "server_connect_error", "server_disconnected"),
    *("tcp_start", "tcp_message", "tcp_end", "tcp_error"),
)
"""Whoever of others has one of these hooks wants to see tunnels being set up."""
KNOWN = frozenset(
    {"proxy-protocol", "dial", "hops", "inspection", "passthrough", "replay", "home", "explain", "fastlane"}
)
"""Ours that have: what they would do is done here, or looked for before."""
WISHES = ("proxyauth", "ignore_hosts", "allow_hosts", "tcp_hosts", "connect_addr", "save_stream_file", "proxy_debug")
"""Options with a say in tunnels; any that is set makes all of them go the slow way."""


def gate() -> Gate:
    """Make the gate of this way."""
    return Gate(EVENTS, KNOWN, WISHES, lambda: bool(ctx.options.connection_strategy == "eager"))


def is_candidate(client: Client) -> bool:
    """Say whether a client may ask for a tunnel, and nobody has refused it yet (as block_global does)."""
    return type(client.proxy_mode) is RegularMode and client.error is None


def untouched(hosts: Hosts, asked: Connect) -> str:
    """Say why a tunnel stays untouched whatever is said in it; "" when that is not certain, or the name is ours."""
    if asked.host.lower().rstrip(".").endswith(".internal"):
        return ""
    decision = decide(hosts, asked.host, asked.port, Seen.NOTHING)
    return decision.why if decision.act is Act.UNTOUCHED else ""


class Shown(link.Counts):
    """Counts that the tunnel's row and log lines share."""

    layer: TunnelLayer

    def add_up(self, size: int) -> None:
        """Count bytes from the client."""
        super().add_up(size)
        self.layer.relayed(True, size)

    def add_down(self, size: int) -> None:
        """Count bytes from the target."""
        super().add_down(size)
        self.layer.relayed(False, size)


@dataclass
class Target:
    """A connection to the target, and its streams."""

    server: Server
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def serve(handler: ConnectionHandler, watched: Watched, hosts: Hosts, data: bytes) -> bool:
    """Look at the client's first bytes, put back, and if they ask for a tunnel that is ours be that tunnel, to its end.

    False: nothing was answered, and every byte is in its place.
    """
    asked = read_connect(data)
    if asked is None or not (why := untouched(hosts, asked)):
        return False
    target = await _dial(handler, asked)
    if target is None:
        return False
    watched.take_back()
    try:
        await _relay(handler, End(watched.end.reader, watched.end.writer, asked.rest), target, why)
    finally:
        target.writer.close()
        target.server.state = ConnectionState.CLOSED
        target.server.timestamp_end = time.time()
    return True


async def _dial(handler: ConnectionHandler, asked: Connect) -> Target | None:
    """Connect as mitmproxy would; None when somebody objects, or it fails."""
    server = Server(address=(asked.host, asked.port))
    server.timestamp_start = time.time()
    await ctx.master.addons.handle_lifecycle(ServerConnectHook(ServerConnectionHookData(server, handler.client)))
    if server.error or server.sockname:
        return None
    with contextlib.suppress(OSError):
        reader, writer = await dial.open(asked.host, asked.port, timeout=DIAL)
        server.timestamp_tcp_setup = time.time()
        server.state = ConnectionState.OPEN
        server.peername = writer.get_extra_info("peername")
        server.sockname = writer.get_extra_info("sockname")
        return Target(server, reader, writer)
    return None


async def _relay(handler: ConnectionHandler, client: End, target: Target, why: str) -> None:
    """Answer, show the tunnel, and link both sides until the end."""
    context = handler.layer.context.fork()
    context.server = target.server
    layer = TunnelLayer(context, why)
    client.writer.write(ANSWER)
    addons = ctx.master.addons
    await addons.handle_lifecycle(TcpStartHook(layer.shown))
    counts = Shown()
    counts.layer = layer
    try:
        await link.link(client, End(target.reader, target.writer), idle=ctx.options.tcp_timeout, counts=counts)
    finally:
        layer.shown.live = False
        await addons.handle_lifecycle(TcpEndHook(layer.shown))
