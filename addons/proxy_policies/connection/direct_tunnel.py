"""Sets up tunnels without mitmproxy's layers: dials, answers and links.

Only where this makes no difference, as decided by the guard and `read_connect`. Failures before the 200 are left to
mitmproxy, which tries again and reports the error.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable

from mitmproxy import ctx, hooks
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy.layers.tcp import TcpEndHook, TcpStartHook
from mitmproxy.proxy.server_hooks import ServerConnectHook, ServerConnectionHookData

from proxy_policies.addresses import is_tunnel_name
from proxy_policies.byte_streams.byte_stream import SocketStream
from proxy_policies.dispatch.table import HookTable
from proxy_policies.http1.request_heads import ANSWER, Connect
from proxy_policies.inspection.hosts import Action, Hosts, Protocol, decide
from proxy_policies.outbound import dial
from proxy_policies.passthrough.tunnel import CLIENT, ENDED_BY_US, TARGET, Tunnel
from proxy_policies.relay import link

DIAL_TIMEOUT = 0.5  # seconds; mitmproxy dials slower targets again


def untouched(hosts: Hosts, asked: Connect) -> str:
    """Return why a tunnel stays untouched whatever it carries; "" if that is uncertain, or the name is a tunnel's."""
    if is_tunnel_name(asked.host):
        return ""
    decision = decide(hosts, asked.host, asked.port, Protocol.NOTHING)
    return decision.why if decision.action is Action.UNTOUCHED else ""


class DirectTunnel:
    """A tunnel requested by a client, `why` it stays untouched, and the hooks of its two connections.

    It ends after `idle` seconds without a byte. `opened` is called once it is open.
    """

    def __init__(
        self,
        client: Client,
        stream: SocketStream,
        asked: Connect,
        why: str,
        *,
        table: HookTable,
        idle: float,
        opened: Callable[[], None],
    ) -> None:
        self._client, self._stream, self._asked, self._why = client, stream, asked, why
        self._table, self._idle, self._opened = table, idle, opened
        self._server = Server(address=(asked.host, asked.port))

    async def run(self) -> bool:
        """Run the tunnel until it closes; return False if nothing was sent, so that mitmproxy can take the client."""
        self._stream.stop_reading()
        if (target := await self._dial()) is None:
            return False
        self._opened()
        await self._relay(target)
        return True

    async def _dial(self) -> socket.socket | None:
        """Connect as mitmproxy would; return None if an addon objects or it fails."""
        server = self._server
        server.timestamp_start = time.time()
        await _trigger(ServerConnectHook(ServerConnectionHookData(server, self._client)))
        if server.error or server.sockname:
            return None
        with contextlib.suppress(OSError):
            target = await dial.connect(self._asked.host, self._asked.port, timeout=DIAL_TIMEOUT)
            server.timestamp_tcp_setup, server.state = time.time(), ConnectionState.OPEN
            server.peername, server.sockname = target.getpeername(), target.getsockname()
            return target
        return None

    async def _relay(self, target: socket.socket) -> None:
        """Answer, and link both sides until the end; the tunnel has a flow only while an addon looks at it."""
        tunnel, flow = Tunnel(client=self._client, server=self._server, why=self._why), None
        with self._stream.detach() as client, target:
            tunnel.log_opening()
            if self._table.is_watched("tcp_start", "update"):
                flow = tunnel.make_flow()
                await _trigger(TcpStartHook(flow))
            try:
                with contextlib.suppress(OSError):  # gone already
                    await asyncio.get_running_loop().sock_sendall(client, ANSWER)
                    await link.relay_sockets(
                        client, target, rest=self._asked.rest, idle=self._idle, counts=tunnel, names=(CLIENT, TARGET)
                    )
            except asyncio.CancelledError:
                tunnel.error = self._client.error or ENDED_BY_US
                raise
            finally:
                self._server.state, self._server.timestamp_end = ConnectionState.CLOSED, time.time()
                if flow is None and self._table.is_watched("tcp_end", "update"):
                    flow = tunnel.make_flow()
                tunnel.close(flow)
                if flow is not None:
                    await _trigger(TcpEndHook(flow))


async def _trigger(hook: hooks.Hook) -> None:
    await ctx.master.addons.handle_lifecycle(hook)
