"""Logs untouched tunnels, and notes on the flow how many bytes they carried."""

import logging
import time

from mitmproxy import tcp

from proxy_policies import trace
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.passthrough.layer import tunnel_of

logger = logging.getLogger(__name__)


class Passthrough:
    """Watches tunnels open and close."""

    name = "passthrough"
    fast_paths = NO_OBJECTION

    def tcp_start(self, flow: tcp.TCPFlow) -> None:
        """Log that a tunnel has opened."""
        if tunnel := tunnel_of(flow):
            trace.note(flow, self.name, "untouched", tunnel.why)
            logger.info(tunnel.opening())

    def tcp_end(self, flow: tcp.TCPFlow) -> None:
        """Log how many bytes a tunnel carried."""
        self._closed(flow)

    def tcp_error(self, flow: tcp.TCPFlow) -> None:
        """Log how many bytes a tunnel carried before its error."""
        self._closed(flow)

    def _closed(self, flow: tcp.TCPFlow) -> None:
        if tunnel := tunnel_of(flow):
            now, error = time.time(), flow.error.msg if flow.error else ""
            facts = {"bytes_up": tunnel.bytes_up, "bytes_down": tunnel.bytes_down}
            trace.note(flow, self.name, "closed", error, **facts, seconds=round(now - tunnel.opened, 1))
            logger.info(tunnel.closing(now, error))
