"""An untouched tunnel: the bytes it has carried, its lines in the log, and the flow that shows it to users."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from mitmproxy import flow as flows
from mitmproxy import tcp
from mitmproxy.connection import Client, Server
from mitmproxy.utils import human

from proxy_policies import trace
from proxy_policies.addresses import format_target
from proxy_policies.flows.flow_state import state_of
from proxy_policies.log_lines import quantity
from proxy_policies.relay.link import ByteCounts

CLIENT, TARGET = "the client", "the target"
"""The names of a tunnel's ends in error messages."""
ENDED_BY_US = "ended by this proxy"
POLICY = "passthrough"

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
        state_of(flow).tunnel = self
        trace.note(flow, POLICY, "untouched", self.why)
        return flow

    def log_opening(self) -> None:
        """Log that it has opened."""
        logger.info(f"{self._name} opened, {self.why}")

    def close(self, flow: tcp.TCPFlow | None) -> None:
        """Log how it has ended, and note that on its flow, if any; an error that the flow has already is kept."""
        if flow is not None:
            self._note_end(flow)
        because = f": {self.error}" if self.error else ""
        counts = f"{quantity(self.up, 'byte')} up, {quantity(self.down, 'byte')} down"
        logger.info(f"{self._name} closed, {counts}, {max(0.0, time.time() - self.opened):.1f} s{because}")

    def _note_end(self, flow: tcp.TCPFlow) -> None:
        if flow.error is not None:
            self.error = flow.error.msg
        elif self.error:
            flow.error = flows.Error(self.error)
        flow.live = False
        seconds = round(time.time() - self.opened, 1)
        trace.note(flow, POLICY, "closed", self.error, bytes_up=self.up, bytes_down=self.down, seconds=seconds)
