"""The HTTP cache: settings and hooks."""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from mitmproxy import ctx, exceptions, http
from mitmproxy.addonmanager import Loader
from mitmproxy.connection import Client

from proxy_policies.addresses import without_credentials
from proxy_policies.background.tasks import Tasks, in_background
from proxy_policies.cache import admin, collapsed_flows, request_phase, response_phase, revalidation
from proxy_policies.cache.clock import Clock
from proxy_policies.cache.collapsing import Leader
from proxy_policies.cache.rfc9111.selectors import ALL, parse_selector
from proxy_policies.cache.rules import CacheRule, parse_cache_rule
from proxy_policies.cache.stores.backends import SYNTAX, BackendSpec, open_store, parse_backend
from proxy_policies.cache.stores.store import Store
from proxy_policies.cache.transactions import CacheEngine, transaction_of
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.flows import flow_state
from proxy_policies.hook_conditions import only_if
from proxy_policies.log_lines import error_text
from proxy_policies.patches.http_stream.stored_bodies import PieceRequest, fill
from proxy_policies.rules import parse_rules
from proxy_policies.settings import Setting, parse_size, parse_switch, reject
from proxy_policies.worker_number import worker_number

CLOCK_LOOKED_AT_EVERY = 1.0
"""Seconds between checks of the clock."""
CLOSING = 2.0
"""Seconds that pending stores get to finish when mitmproxy ends."""

PURGE_OF_ONE = (
    "option cache_purge: with several workers a PURGE would reach the memory of one of them; "
    "set cache=disk:FOLDER, or purge by `proxy-policies cache purge`, which asks all of them"
)

logger = logging.getLogger(__name__)

_Hook = Callable[["Cache", http.HTTPFlow], Awaitable[None]]


def fail_open(hook: _Hook) -> _Hook:
    """Log a hook's exception and continue the exchange: mitmproxy would skip the policies after us."""

    @functools.wraps(hook)
    async def guarded(self: "Cache", flow: http.HTTPFlow) -> None:
        try:
            await hook(self, flow)
        except Exception:
            logger.exception(f"cache: {flow.request.pretty_url} continues without the cache")

    return guarded


class Cache:
    """Answers from the store, and stores origins' responses, as a shared cache by RFC 9111."""

    name = "cache"
    fast_paths = {**NO_OBJECTION, "hits": ("cache_rules",)}
    cache = Setting("memory", parse_backend, f"Where responses are stored: {SYNTAX}.")
    cache_size = Setting(
        "256m", parse_size, "Size limit of the store, metadata included (Redis: its own maxmemory applies)."
    )
    cache_max_object = Setting("16m", parse_size, "Largest body that is stored.")
    cache_strict = Setting(
        "off",
        parse_switch,
        "Store no response that sets a cookie or whose request had one, unless the origin says public.",
    )
    cache_purge = Setting(
        "off",
        admin.parse_purge,
        "Secret (16 characters or more) for PURGE requests, sent as Authorization: Bearer SECRET; off forwards PURGE.",
    )
    cache_rules: Setting[tuple[CacheRule, ...]] = Setting(
        (),
        parse_rules(parse_cache_rule),
        "/flow-filter/ttl=60, status=200 404, stale-if-error=1h, ignore-query=utm_*, share-cookies, bypass or force.",
    )

    def __init__(self) -> None:
        self.engine: CacheEngine | None = None
        self._led: Mapping[str, Sequence[Leader]] = {}
        """By client id: requests in progress whose responses others wait for."""
        self._chosen: tuple[BackendSpec, int] | None = None
        self._tasks = Tasks("cache")

    def load(self, loader: Loader) -> None:
        """Add the commands."""
        loader.add_command("cache.stats", self.stats)
        loader.add_command("cache.list", self.list)
        loader.add_command("cache.show", self.show)
        loader.add_command("cache.purge", self.purge)
        loader.add_command("cache.purge.soft", self.purge_softly)

    def configure(self, updated: set[str]) -> None:
        """Open the chosen store, and apply the other options."""
        if self.cache_purge and self.cache.kind == "memory" and worker_number():
            reject(PURGE_OF_ONE)
        if updated & {"cache", "cache_size"}:
            self._open()
        if self.engine is not None:
            self.engine.max_object, self.engine.strict = self.cache_max_object, self.cache_strict
            self.engine.rules = self.cache_rules
            self.engine.is_replaying = bool(getattr(ctx.options, "server_replay", None))  # mitmproxy's addon has it

    def _open(self) -> None:
        chosen = self.cache, self.cache_size
        if chosen == self._chosen:
            return
        try:
            store = open_store(*chosen)
        except (OSError, ValueError) as error:
            reject(f"option cache={without_credentials(ctx.options.cache)!r}: {error_text(error)}")
            return
        old, self._chosen = self.engine, chosen
        self.engine = CacheEngine(store, self.cache_max_object) if store is not None else None
        self._led = self.engine.collapsed.by_client if self.engine is not None else {}
        if old is not None:
            admin.run_command(admin.close(old.store))

    def running(self) -> None:
        """Watch the clock."""
        self._tasks.spawn(self._watch_clock())

    async def _watch_clock(self) -> None:
        """If the clock was set back, make all entries whose age depends on it stale."""
        clock = Clock(time.time(), time.monotonic())
        while True:
            await asyncio.sleep(CLOCK_LOOKED_AT_EVERY)
            back = clock.went_back(time.time(), time.monotonic())
            if back and self.engine is not None and self.engine.store.is_timed_by_us:
                logger.warning(f"cache: the clock was put back by {back:.0f} s; what is stored is validated before use")
                await self.engine.store.purge(ALL, soft=True)

    @in_background
    async def done(self) -> None:
        """Finish pending stores."""
        await self._tasks.cancel()
        if self.engine is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.engine.store.close(), CLOSING)
            self.engine, self._chosen, self._led = None, None, {}

    @only_if("cache_purge")
    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Answer a PURGE before its body, which otherwise might be streamed to the origin."""
        if self.cache_purge and admin.is_purge(flow):
            await admin.answer_purge(self.engine, flow, self.cache_purge)

    @only_if("engine")
    @fail_open
    async def request(self, flow: http.HTTPFlow) -> None:
        """Look up, and answer or forward. A PURGE gets here only if an addon before us failed in `requestheaders`."""
        if self.cache_purge and admin.is_purge(flow):
            await admin.answer_purge(self.engine, flow, self.cache_purge)
        elif self.engine is not None and not request_phase.is_not_ours(self.engine, flow):
            await request_phase.handle_request(self.engine, flow)

    @only_if("engine")
    @fail_open
    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Freshen, serve stale, or store."""
        if self.engine is None or flow.response is None or flow_state.state_of(flow).origin is None:
            return
        transaction = transaction_of(flow) or request_phase.transaction_for_early_response(self.engine, flow)
        if transaction is not None:
            await response_phase.handle_response(self.engine, flow, transaction, flow.response)

    def response(self, flow: http.HTTPFlow) -> None:
        """Release collapsed requests."""
        transaction, state = transaction_of(flow), flow_state.state_of(flow)
        if transaction is not None and self.engine is not None:
            response_phase.finish(self.engine, transaction)
        if flow.response is not None and state.source is not None and state.origin is not None:
            flow.response.raw_content = b""  # the origin's, replaced by a stored one

    async def stored_body(self, piece_request: PieceRequest) -> None:
        """Read the next piece of a stored body."""
        await fill(piece_request)

    @only_if("engine")
    @fail_open
    async def error(self, flow: http.HTTPFlow) -> None:
        """Serve stale for an origin that failed, if nothing was sent yet."""
        transaction = transaction_of(flow)
        if self.engine is not None and transaction is not None:
            await revalidation.serve_stale_for_failure(self.engine, flow, transaction)

    @only_if("_led")
    def client_disconnected(self, client: Client) -> Awaitable[None] | None:
        """Wait for responses that others need: mitmproxy closes the client's connections to origins after this hook."""
        led = self._led.get(client.id)
        return collapsed_flows.finish_for_followers(tuple(led)) if led else None

    # Commands

    def _engine(self) -> CacheEngine:
        if self.engine is None:
            raise exceptions.CommandError("the cache is off")
        return self.engine

    def _store(self) -> Store:
        return self._engine().store

    def stats(self) -> Sequence[str]:
        """Return how full the cache is."""
        return admin.run_command(admin.stats(self._store()))

    async def statistics(self) -> Mapping[str, int]:
        """Return how full the cache is; empty if it is off."""
        if self.engine is None:
            return {}
        counts = await self.engine.store.counts()
        return {"responses": counts.entries, "bytes": counts.bytes, "limit": counts.limit}

    def list(self, filter: str = "") -> Sequence[str]:
        """List what is stored: all of it, or what matches a glob or contains a text."""
        return admin.run_command(admin.list_entries(self._store(), filter, time.time()))

    def show(self, key: str) -> Sequence[str]:
        """Show what is stored under a key or a URL, with its fields."""
        return admin.run_command(admin.show_entry(self._store(), key, time.time()))

    def purge(self, what: str) -> Sequence[str]:
        """Purge a URL with all its variants (url:URL if it has a *), a glob of URLs, or tag:NAME."""
        return self._purge(what, soft=False)

    def purge_softly(self, what: str) -> Sequence[str]:
        """Make stale what `cache.purge` would remove."""
        return self._purge(what, soft=True)

    def _purge(self, what: str, soft: bool) -> Sequence[str]:
        try:
            parse_selector(what)
        except ValueError as error:
            raise exceptions.CommandError(str(error)) from None
        return admin.run_command(admin.purge(self._store(), what, soft))
