"""The proxy-protocol policy: takes a load balancer's word for who the client is."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from mitmproxy.connection import Client

from proxy_policies.addresses import format_target, in_networks, parse_networks
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.hook_conditions import only_if
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.limits.shares import Shares
from proxy_policies.log_lines import Throttle
from proxy_policies.patches.client_handlers import handler_of
from proxy_policies.settings import Setting

with lazy_imports():
    from proxy_policies.proxy_protocol import header

logger = logging.getLogger(__name__)

HEADER_TIMEOUT = 5.0
"""Seconds that a load balancer has to say it; it says it at once."""
NO_HEADER = "no PROXY header came"
TOO_MANY = "too many of its connections have not said whom they are from"
MOST_WAITING = 1024
"""Connections of one balancer whose header has not come: it comes at once. nginx's worker_connections; sshd, which
bounds those who have not said who they are in the same way, has 100."""


class ProxyProtocol:
    """Before anything is read of a connection: learns whom it is from. Without that word, there is no connection."""

    name = "proxy-protocol"
    fast_paths = NO_OBJECTION
    proxy_protocol = Setting(
        (),
        parse_networks,
        "Networks of load balancers whose connections begin with a PROXY header (v1 or v2) that names the client.",
    )

    def __init__(self) -> None:
        self._rejections = Throttle(interval=1.0)
        self._waiting = Shares()

    def is_trusted_peer(self, host: str) -> bool:
        """Return whether an address is a load balancer's, whose connections begin with a header."""
        return bool(self.proxy_protocol) and in_networks(host, self.proxy_protocol)

    def expect_header(self, peer: tuple[Any, ...]) -> bool:
        """Count a connection in that begins with a header; False, and it is to be closed, where there are too many."""
        if self._waiting.enter(peer[0], peer, MOST_WAITING):
            return True
        self._reject(peer, TOO_MANY)
        return False

    def header_came(self, peer: tuple[Any, ...], why_not: str = "") -> None:
        """Count it out; or tell `why_not`."""
        self._waiting.leave(peer[0], peer)
        if why_not:
            self._reject(peer, why_not)

    def _reject(self, peer: tuple[Any, ...], why: str) -> None:
        if admitted := self._rejections.admit(f"{format_target(*peer[:2])} rejected: {why}", time.monotonic()):
            logger.warning(admitted)

    @only_if("proxy_protocol")
    async def client_connected(self, client: Client) -> None:
        """Read the header, where one is due."""
        if client.transport_protocol != "tcp" or not client.peername or client.error:
            return
        if not self.is_trusted_peer(client.peername[0]):
            return
        handler = handler_of(client.id)
        if handler is None:  # it is served before mitmproxy has it, where a balancer's own connections never are
            client.error = NO_HEADER
            return
        peer, why, reader = client.peername, "", handler.transports[client].reader
        if not self.expect_header(peer):
            client.error = TOO_MANY
            return
        try:
            async with asyncio.timeout(HEADER_TIMEOUT):
                client.peername = await header.read(reader.readexactly) or peer  # type: ignore[union-attr]  # over TCP a stream
        except (header.HeaderError, OSError, EOFError, asyncio.LimitOverrunError) as error:
            why = client.error = str(error) if isinstance(error, header.HeaderError) else NO_HEADER
        finally:
            self.header_came(peer, why)
