"""The metrics policy: the proxy's counters, for Prometheus."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

from mitmproxy import ctx

from proxy_policies.addresses import Address
from proxy_policies.background.tasks import in_background
from proxy_policies.counting import statistics
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.options.parsers import parse_page_address
from proxy_policies.settings import Setting, reject
from proxy_policies.start_up import requirements
from proxy_policies.version import VERSION
from proxy_policies.web_pages.optional_page import OptionalPage

with lazy_imports():
    from proxy_policies.counting import shared
    from proxy_policies.metrics import families, server
    from proxy_policies.web_pages import page_server

PACKAGE = "prometheus-client"


def parse_listen(text: str) -> tuple[str, int] | None:
    """Return the address to listen on, as `parse_page_address` does. Raise ValueError, also if a package is missing."""
    address = parse_page_address(text)
    if address and not requirements.is_installed("prometheus_client"):
        raise ValueError(f"needs the package {PACKAGE}: {requirements.install_command([PACKAGE])}")
    return address


class Metrics:
    """Counts, and serves the counters, while `metrics` is set."""

    name = "metrics"
    fast_paths = NO_OBJECTION
    metrics = Setting(
        "off",
        parse_listen,
        "Serve /metrics to Prometheus on PORT (of 127.0.0.1), HOST:PORT or *:PORT (worker N: that port + N-1); off.",
    )

    def __init__(self) -> None:
        self._page = OptionalPage(lambda: shared.COUNTING.end())
        self._address: Address | None = None
        """The address it listens on: `configure` may be called without a change, by a policy file for one."""

    def configure(self, updated: set[str]) -> None:
        """Listen on the chosen address; if that fails, keep the previous one."""
        if "metrics" not in updated or self.metrics == self._address:
            return
        try:
            self._page.move(self.metrics, self._begin)
        except OSError as error:
            reject(f"option metrics={ctx.options.metrics!r}: cannot listen: {error.strerror or error}")
            return
        self._address = self.metrics

    def _begin(self, sockets: list[socket.socket]) -> page_server.PageServer:
        shared.COUNTING.begin()
        return server.serve(sockets, self._render, accepts_clients)

    @in_background
    async def done(self) -> None:
        """Stop listening."""
        await self._page.close()

    async def _render(self, accept: str) -> tuple[bytes, str]:
        """Read the counters here, and encode them in a thread."""
        counters = await statistics.of_policies()
        streams = ctx.master.addons.get("finished-flows").streams
        versions = VERSION, requirements.mitmproxy_version()
        snapshot = list(families.families_of(shared.COUNTING.read(), counters, len(streams), versions))
        return await asyncio.to_thread(families.encode, snapshot, accept)

    async def statistics(self) -> Mapping[str, int]:
        """Return the sums of all counters; empty while it is off."""
        return shared.COUNTING.read().totals() if self._page.is_served else {}


def accepts_clients() -> bool:
    """Return whether the proxy listens on all its addresses, and is not being stopped."""
    signals: Any = ctx.master.addons.get("signals")
    is_stopping = signals is not None and signals.is_stopping
    return not is_stopping and all(instance.is_running for instance in ctx.master.addons.get("proxyserver").servers)
