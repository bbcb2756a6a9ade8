"""The proxy-protocol policy: takes the client's address from a load balancer's PROXY header."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from mitmproxy import ctx
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
"""Seconds in which a load balancer must send the header; it sends it at once."""
NO_HEADER = "no PROXY header received"
TOO_MANY = "too many of its connections have not sent a PROXY header"
MAX_WAITING = 1024
"""Connections of one balancer without a header yet, as in nginx's worker_connections; sshd allows 100 connections that
are not authenticated."""


class ProxyProtocol:
    """Reads the header before anything else of a connection, and closes connections without one."""

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
        """Return whether an address is that of a load balancer, whose connections begin with a header."""
        return in_networks(host, self.proxy_protocol)

    def expect_header(self, peer: tuple[Any, ...]) -> bool:
        """Count a connection whose header is awaited; False if there are too many, and it must be closed."""
        if self._waiting.enter(peer[0], peer, MAX_WAITING):
            return True
        self._reject(peer, TOO_MANY)
        return False

    def header_done(self, peer: tuple[Any, ...], error: str = "") -> None:
        """Stop counting a connection: its header was received, or there was an `error`, which is logged."""
        self._waiting.leave(peer[0], peer)
        if error:
            self._reject(peer, error)

    def _reject(self, peer: tuple[Any, ...], why: str) -> None:
        if admitted := self._rejections.admit(f"{format_target(*peer[:2])} rejected: {why}", time.monotonic()):
            logger.warning(admitted)

    @only_if("proxy_protocol")
    async def client_connected(self, client: Client) -> None:
        """Read the header of a load balancer's connection."""
        if client.transport_protocol != "tcp" or not client.peername or client.error:
            return
        if not self.is_trusted_peer(client.peername[0]):
            return
        handler = handler_of(client.id)
        if handler is None:  # on a fast path, where a balancer's own connections never are
            client.error = NO_HEADER
            return
        peer, failure, reader = client.peername, "", handler.transports[client].reader
        if not self.expect_header(peer):
            client.error = TOO_MANY
            return
        try:
            async with asyncio.timeout(HEADER_TIMEOUT):
                client.peername = await header.read(reader.readexactly) or peer  # type: ignore[union-attr] # over TCP
        except (header.HeaderError, OSError, EOFError, asyncio.LimitOverrunError) as error:
            failure = client.error = str(error) if isinstance(error, header.HeaderError) else NO_HEADER
        finally:
            self.header_done(peer, failure)
        if not failure and (block := ctx.master.addons.get("block")):
            block.client_connected(client)  # again: block_global and block_private have judged the balancer
