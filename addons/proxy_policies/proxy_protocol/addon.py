"""The proxy-protocol policy: takes a load balancer's word for who the client is."""

from __future__ import annotations

import asyncio
import logging
import time

from mitmproxy import ctx
from mitmproxy.connection import Client

from proxy_policies.addresses import format_target, in_networks, parse_networks
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.hook_conditions import only_if
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.log_lines import Throttle
from proxy_policies.settings import Setting

with lazy_imports():
    from proxy_policies.proxy_protocol import header

logger = logging.getLogger(__name__)

HEADER_TIMEOUT = 5.0
"""Seconds that a load balancer has to say it; it says it at once."""
NO_HEADER = "no PROXY header came"


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
        self._rejections = Throttle(every=1.0)

    def is_trusted_peer(self, host: str) -> bool:
        """Return whether an address is a load balancer's, whose connections begin with a header."""
        return bool(self.proxy_protocol) and in_networks(host, self.proxy_protocol)

    @only_if("proxy_protocol")
    async def client_connected(self, client: Client) -> None:
        """Read the header, where one is due."""
        if client.transport_protocol != "tcp" or not client.peername or client.error:
            return
        if not self.is_trusted_peer(client.peername[0]):
            return
        handler = ctx.master.addons.get("proxyserver").connections.get(client.id)
        if handler is None:  # it is served before mitmproxy has it, where a balancer's own connections never are
            client.error = NO_HEADER
            return
        try:
            async with asyncio.timeout(HEADER_TIMEOUT):
                address = await header.read(handler.transports[client].reader.readexactly)
        except (header.HeaderError, OSError, EOFError, asyncio.LimitOverrunError) as error:
            why = str(error) if isinstance(error, header.HeaderError) else NO_HEADER
            line = f"{format_target(*client.peername[:2])} rejected: {why}"
            if admitted := self._rejections.admit(line, time.monotonic()):
                logger.warning(admitted)
            client.error = why
        else:
            client.peername = address or client.peername
