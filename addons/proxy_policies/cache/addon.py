"""The HTTP cache: settings and hooks."""

import logging

from mitmproxy import http

from proxy_policies import exchange
from proxy_policies.cache import asking, receiving, reviving
from proxy_policies.cache.flows import Desk, visit_of
from proxy_policies.cache.memory import MemoryStore
from proxy_policies.cache.rules import CacheRule, parse_cache_rule
from proxy_policies.rules import parse_rules
from proxy_policies.settings import Setting, one_of, parse_size, parse_switch

logger = logging.getLogger(__name__)


class Cache:
    """Answers from what is stored, and stores what origins answer, as RFC 9111 has it for a shared cache."""

    name = "cache"
    cache = Setting("memory", one_of("off", "memory"), "Where responses are stored: memory, or off.")
    cache_size = Setting("256m", parse_size, "Bytes the store may hold, bookkeeping included.")
    cache_max_object = Setting("16m", parse_size, "Largest body that is stored.")
    cache_strict = Setting(
        "off", parse_switch, "Take what carries cookies for personal, unless the origin says public."
    )
    cache_rules: Setting[tuple[CacheRule, ...]] = Setting(
        (),
        parse_rules(parse_cache_rule),
        "/flow-filter/ttl=60, stale-if-error=1h, ignore-query=utm_*, bypass or force.",
    )

    def __init__(self) -> None:
        self.desk: Desk | None = None

    def configure(self, updated: set[str]) -> None:
        """Open the store that was chosen."""
        if updated & {"cache", "cache_size"}:
            self.desk = Desk(MemoryStore(self.cache_size), 0) if self.cache == "memory" else None
        if self.desk is not None:
            self.desk.max_object, self.desk.strict = self.cache_max_object, self.cache_strict
            self.desk.rules = self.cache_rules

    async def request(self, flow: http.HTTPFlow) -> None:
        """Look up, and answer or send on."""
        if self.desk is not None and not asking.is_idle(flow):
            await asking.ask(self.desk, flow)

    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Freshen, stand in, or store."""
        visit = visit_of(flow)
        if self.desk and visit and flow.response and exchange.of(flow).origin:
            await receiving.receive(self.desk, flow, visit, flow.response)

    def response(self, flow: http.HTTPFlow) -> None:
        """Let nobody wait any longer."""
        visit = visit_of(flow)
        if visit is not None:
            receiving.ended(visit)

    async def error(self, flow: http.HTTPFlow) -> None:
        """Stand in for an origin that failed, where nothing was sent yet."""
        visit = visit_of(flow)
        if self.desk is not None and visit is not None:
            await reviving.failed(self.desk, flow, visit)
