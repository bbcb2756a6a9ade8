"""The HTTP cache: settings and hooks."""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from mitmproxy import ctx, exceptions, http
from mitmproxy.addonmanager import Loader
from mitmproxy.connection import Client

from proxy_policies import exchange
from proxy_policies.addresses import without_credentials
from proxy_policies.cache import asking, following, purging, receiving, reviving
from proxy_policies.cache.choice import FORMS, Choice, open_store, parse_choice
from proxy_policies.cache.flows import Desk, visit_of
from proxy_policies.cache.purge import parse_selector
from proxy_policies.cache.rules import CacheRule, parse_cache_rule
from proxy_policies.cache.store import Store
from proxy_policies.idle import idle_without
from proxy_policies.patches.stored_bodies import Wanted, provide
from proxy_policies.rules import parse_rules
from proxy_policies.settings import Setting, parse_size, parse_switch, refuse
from proxy_policies.unhurried import unhurried

CLOSING = 2.0
"""Seconds that storing may take to end when mitmproxy does."""

logger = logging.getLogger(__name__)

Hook = Callable[["Cache", http.HTTPFlow], Awaitable[None]]


def convenience(hook: Hook) -> Hook:
    """Log what goes wrong in a hook, and let the exchange go on: mitmproxy would skip the policies after us."""

    @functools.wraps(hook)
    async def guarded(self: "Cache", flow: http.HTTPFlow) -> None:
        try:
            await hook(self, flow)
        except Exception:
            logger.exception(f"cache: {flow.request.pretty_url} goes on without the cache")

    return guarded


class Cache:
    """Answers from what is stored, and stores what origins answer, as RFC 9111 has it for a shared cache."""

    name = "cache"
    cache = Setting("memory", parse_choice, f"Where responses are stored: {FORMS}.")
    cache_size = Setting(
        "256m", parse_size, "Bytes the store may hold, bookkeeping included (Redis: its own maxmemory counts)."
    )
    cache_max_object = Setting("16m", parse_size, "Largest body that is stored.")
    cache_strict = Setting(
        "off",
        parse_switch,
        "Store nothing that sets a cookie or was asked for with one, unless the origin says public.",
    )
    cache_purge = Setting(
        "off",
        purging.parse_purge,
        "Secret of 16 characters or more that lets PURGE in (Authorization: Bearer SECRET); off passes it on.",
    )
    cache_rules: Setting[tuple[CacheRule, ...]] = Setting(
        (),
        parse_rules(parse_cache_rule),
        "/flow-filter/ttl=60, status=200 404, stale-if-error=1h, ignore-query=utm_*, share-cookies, bypass or force.",
    )

    def __init__(self) -> None:
        self.desk: Desk | None = None
        self._chosen: tuple[Choice, int] | None = None

    def load(self, loader: Loader) -> None:
        """Offer the commands."""
        loader.add_command("cache.stats", self.stats)
        loader.add_command("cache.list", self.list)
        loader.add_command("cache.show", self.show)
        loader.add_command("cache.purge", self.purge)
        loader.add_command("cache.purge.soft", self.purge_softly)

    def configure(self, updated: set[str]) -> None:
        """Open the store that was chosen."""
        if updated & {"cache", "cache_size"}:
            self._open()
        if self.desk is not None:
            self.desk.max_object, self.desk.strict = self.cache_max_object, self.cache_strict
            self.desk.rules = self.cache_rules

    def _open(self) -> None:
        chosen = self.cache, self.cache_size
        if chosen == self._chosen:
            return
        try:
            store = open_store(*chosen)
        except OSError as error:
            refuse(f"option cache={without_credentials(ctx.options.cache)!r}: {error}")
            return
        old, self._chosen = self.desk, chosen
        self.desk = Desk(store, self.cache_max_object) if store is not None else None
        if old is not None:
            purging.at_once(purging.closing(old.store))

    @unhurried
    async def done(self) -> None:
        """Finish what is being stored."""
        if self.desk is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.desk.store.close(), CLOSING)
            self.desk, self._chosen = None, None

    @idle_without("cache_purge")
    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Answer a PURGE before its body, which might be streamed to the origin."""
        if purging.is_purge(flow, self.cache_purge):
            await purging.answer_purge(self.desk, flow, self.cache_purge)

    @idle_without("desk")
    @convenience
    async def request(self, flow: http.HTTPFlow) -> None:
        """Look up, and answer or send on. A PURGE comes here only if an addon before us failed in `requestheaders`."""
        if purging.is_purge(flow, self.cache_purge):
            await purging.answer_purge(self.desk, flow, self.cache_purge)
        elif self.desk is not None and not asking.is_idle(flow):
            await asking.ask(self.desk, flow)

    @idle_without("desk")
    @convenience
    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Freshen, stand in, or store."""
        if self.desk is None or flow.response is None or exchange.of(flow).origin is None:
            return
        visit = visit_of(flow) or asking.unasked(self.desk, flow)
        if visit is not None:
            await receiving.receive(self.desk, flow, visit, flow.response)

    def response(self, flow: http.HTTPFlow) -> None:
        """Let nobody wait any longer."""
        visit, known = visit_of(flow), exchange.of(flow)
        if visit is not None and self.desk is not None:
            receiving.ended(self.desk, visit)
        if flow.response is not None and known.source is not None and known.origin is not None:
            flow.response.raw_content = b""  # the origin's, whom a stored response stands in for

    async def stored_body(self, wanted: Wanted) -> None:
        """Read on in a stored body that is being sent."""
        await provide(wanted)

    @idle_without("desk")
    @convenience
    async def error(self, flow: http.HTTPFlow) -> None:
        """Stand in for an origin that failed, where nothing was sent yet."""
        visit = visit_of(flow)
        if self.desk is not None and visit is not None:
            await reviving.failed(self.desk, flow, visit)

    @idle_without("desk")
    def client_disconnected(self, client: Client) -> Awaitable[None] | None:
        """Let the origin go on with what others wait for: mitmproxy closes its connections after this hook."""
        led = self.desk.collapsed.led_by(client.id) if self.desk is not None else ()
        return following.finish_for_followers(led) if led else None

    # Commands

    def _desk(self) -> Desk:
        if self.desk is None:
            raise exceptions.CommandError("the cache is off")
        return self.desk

    def _store(self) -> Store:
        return self._desk().store

    def stats(self) -> Sequence[str]:
        """Say how full the cache is."""
        return purging.at_once(purging.stats(self._store()))

    def list(self, filter: str = "") -> Sequence[str]:
        """List what is stored: all of it, or what matches a glob or contains a text."""
        return purging.at_once(purging.listing(self._store(), filter, time.time()))

    def show(self, key: str) -> Sequence[str]:
        """Show what is stored under a key or a URL, with its fields."""
        return purging.at_once(purging.showing(self._store(), key, time.time()))

    def purge(self, what: str) -> Sequence[str]:
        """Purge a URL with all its variants, a glob of URLs, or tag:NAME."""
        return self._purge(what, soft=False)

    def purge_softly(self, what: str) -> Sequence[str]:
        """Make stale what `cache.purge` would remove."""
        return self._purge(what, soft=True)

    def _purge(self, what: str, soft: bool) -> Sequence[str]:
        try:
            parse_selector(what)
        except ValueError as error:
            raise exceptions.CommandError(str(error)) from None
        return purging.at_once(purging.purging(self._desk(), what, soft, time.time()))
