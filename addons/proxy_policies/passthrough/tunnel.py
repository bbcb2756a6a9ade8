"""An untouched tunnel: the bytes it has carried, its lines in the log, and the flow that shows it to users.

`DirectTunnel` sets one up without mitmproxy's layers, `layer.py` has the one inside them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mitmproxy import flow as flows
from mitmproxy import tcp
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy.layers.tcp import TcpEndHook, TcpStartHook
from mitmproxy.proxy.server_hooks import ServerConnectHook, ServerConnectionHookData
from mitmproxy.utils import human

from proxy_policies import trace
from proxy_policies.addresses import format_target
from proxy_policies.byte_streams.byte_stream import SocketStream
from proxy_policies.dispatch.dispatcher import HookTable
from proxy_policies.exchange.tls_handshake import Trigger
from proxy_policies.flows.flow_state import state_of
from proxy_policies.http1.request_heads import ANSWER, Connect
from proxy_policies.log_lines import quantity
from proxy_policies.outbound import dial
from proxy_policies.relay import link
from proxy_policies.relay.link import ByteCounts

CLIENT, TARGET = "the client", "the target"
"""The names of a tunnel's ends in error messages."""
ENDED_BY_US = "ended by this proxy"
POLICY = "passthrough"
DIAL_TIMEOUT = 0.5  # seconds; mitmproxy dials slower targets again

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False, kw_only=True)
class Tunnel(ByteCounts):
    """Counts are bytes of payload; `opened` is in seconds since the epoch."""

    client: Client
    server: Server
    why: str
    """Why it is untouched."""
    opened: float = field(default_factory=time.time)
    _name: str = field(init=False)

    def __post_init__(self) -> None:
        """Name the tunnel for the log."""
        host, port, *_ = self.server.address or ("unknown", 0)
        self._name = f"tunnel {human.format_address(self.client.peername)} → {format_target(host, port)}"

    def make_flow(self) -> tcp.TCPFlow:
        """Return a new flow for the open tunnel."""
        flow = tcp.TCPFlow(self.client, self.server, live=True)
        flow.timestamp_created = self.opened
        state_of(flow).tunnel = self
        trace.note(flow, POLICY, "untouched", self.why)
        return flow

    def log_opening(self) -> None:
        """Log that it has opened."""
        logger.info(f"{self._name} opened, {self.why}")

    def close(self, flow: tcp.TCPFlow | None) -> None:
        """Log how it has ended, and note that on its flow, if any; an error that the flow has already is kept."""
        seconds = max(0.0, time.time() - self.opened)
        if flow is not None:
            self._note_end(flow, seconds)
        because = f": {self.error}" if self.error else ""
        counts = f"{quantity(self.up, 'byte')} up, {quantity(self.down, 'byte')} down"
        logger.info(f"{self._name} closed, {counts}, {seconds:.1f} s{because}")

    def _note_end(self, flow: tcp.TCPFlow, seconds: float) -> None:
        if flow.error is not None:
            self.error = flow.error.msg
        elif self.error:
            flow.error = flows.Error(self.error)
        flow.live = False
        counts = {"bytes_up": self.up, "bytes_down": self.down}
        trace.note(flow, POLICY, "closed", self.error, **counts, seconds=round(seconds, 1))


class DirectTunnel:
    """A tunnel requested by a client, and `why` it stays untouched.

    It ends after `idle` seconds without a byte. `opened` is called once it is open.
    """

    def __init__(
        self,
        client: Client,
        stream: SocketStream,
        asked: Connect,
        why: str,
        *,
        trigger: Trigger,
        table: HookTable,
        idle: float,
        opened: Callable[[], None],
    ) -> None:
        self._client, self._stream, self._asked, self._why = client, stream, asked, why
        self._trigger, self._table, self._idle, self._opened = trigger, table, idle, opened
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
        await self._trigger(ServerConnectHook, ServerConnectionHookData(server, self._client))
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
                await self._trigger(TcpStartHook, flow)
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
                    await self._trigger(TcpEndHook, flow)
