"""Chooses what responds to a request without mitmproxy's layers, if that is permitted, trying each in order."""

from __future__ import annotations

import functools
from collections.abc import Coroutine
from typing import Any

from mitmproxy import ctx
from mitmproxy.proxy.mode_specs import ProxyMode, ReverseMode

from proxy_policies.addresses import is_tunnel_name
from proxy_policies.byte_streams.socket_stream import SocketStream
from proxy_policies.connection import direct_tunnel
from proxy_policies.connection.fast_path_guard import FastPathGuard, opens_tunnels, speaks_http
from proxy_policies.dispatch.table import HookTable
from proxy_policies.exchange.exchange import Exchange, ExchangeClient
from proxy_policies.exchange.origin_connections import Destination
from proxy_policies.fast_paths import COUNTED
from proxy_policies.http1.plain_messages import read_plain_request
from proxy_policies.http1.request_heads import address_of, read_connect
from proxy_policies.inspection.hosts import Hosts
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.patches.dialling import strategy_is_chosen
from proxy_policies.validity import Invalid

with lazy_imports():
    from proxy_policies.connection import learned_responses


class Responders:
    """Learned responses, tunnels and exchanges, each used only if no addon objects."""

    def __init__(self) -> None:
        self._guards = {
            "tunnels": FastPathGuard("tunnels", _is_eager),
            "exchanges": FastPathGuard("exchanges", _is_strict),
        }
        self._learned: learned_responses.LearnedResponses | None = None
        self.table: HookTable | None = None
        """Which addons have which hooks; None while the fast paths are off."""
        self._counts = dict.fromkeys(COUNTED, 0)

    def count(self, name: str) -> None:
        """Count one of COUNTED."""
        self._counts[name] += 1

    def counts(self) -> dict[str, int]:
        """Return how many requests took each path around mitmproxy's layers, and how many clients were handed over."""
        return {**self._counts, "hits": self._learned.count if self._learned else 0}

    def reconsider(self, *, learns: bool) -> None:
        """Check objections again and forget learned responses, because options have changed."""
        for guard in self._guards.values():
            guard.forget()
        if self._learned is None and learns:
            self._learned = learned_responses.LearnedResponses()
        if self._learned:
            self._learned.forget()

    def serves(self, mode: ProxyMode) -> bool:
        """Return whether clients of a mode may be served here."""
        if self.table is None or not speaks_http(mode) or _dials_at_once(mode):
            return False
        return (
            self.is_open("exchanges") or (opens_tunnels(mode) and self.is_open("tunnels")) or self._store() is not None
        )

    def is_open(self, path: str) -> bool:
        """Return whether a path around mitmproxy's layers may be used."""
        return self.table is not None and self._guards[path].is_open(self.table)

    def _store(self) -> Any:
        return self._learned.store(self.table) if self.table is not None and self._learned else None

    # In order

    def send_learned(self, connection: Any) -> bool:
        """Send the learned responses to received requests, up to a bound; return False if the first has none."""
        if self._learned is None or self._learned.is_empty or (store := self._store()) is None:
            return False
        respond = self._learned.respond
        return bool(connection.respond_to_each(lambda head: respond(connection, head, store)))

    def response_to(self, connection: ExchangeClient, head: bytes) -> Exchange | Coroutine[Any, Any, bool] | None:
        """Return the tunnel or exchange that responds to a request; None to leave it to mitmproxy."""
        if head.startswith(b"CONNECT "):
            return self._tunnel(connection)
        return self._exchange(connection, head) if self.is_open("exchanges") else None

    def _tunnel(self, connection: ExchangeClient) -> Coroutine[Any, Any, bool] | None:
        client, stream, hosts = connection.client, connection.stream, _inspected_hosts()
        if hosts is None or not opens_tunnels(client.proxy_mode) or not self.is_open("tunnels"):
            return None
        asked = read_connect(bytes(stream.received))
        why = direct_tunnel.untouched(hosts, asked) if asked else ""
        if not asked or not why or not isinstance(stream, SocketStream):
            return None
        return direct_tunnel.DirectTunnel(client, stream, asked, why, functools.partial(self.count, "tunnels")).run()

    def _exchange(self, connection: ExchangeClient, head: bytes) -> Exchange | None:
        request = read_plain_request(head)
        if request is None or bool(request.authority) is (connection.destination is not None):
            return None
        destination = _direct_destination(connection.destination, request.authority)
        if destination is None:
            return None
        self.count("exchanges")
        exchange = Exchange(connection, request, destination)
        exchange.is_recorded = self._learned is not None
        return exchange

    def exchanged(self, connection: Any, exchange: Exchange, head: bytes) -> None:
        """Learn from an exchange that has ended."""
        if self._learned and self.table is not None and exchange.is_learnable and exchange.writer.wire:
            self._learned.learn(connection, head, exchange, self.table)


@functools.lru_cache(maxsize=256)
def _direct_destination(fixed: Destination | None, authority: bytes) -> Destination | None:
    """Return the client's only destination, else the target's; None if it is invalid, or in the reverse tunnel."""
    try:
        destination = fixed or Destination("http", *address_of(authority, b"http"))
    except Invalid:
        return None
    return None if is_tunnel_name(destination.host) else destination


def _inspected_hosts() -> Hosts | None:
    """Return the hosts that decide which tunnels stay untouched."""
    inspection = ctx.master.addons.get("inspection")
    return None if inspection is None else inspection.inspect_hosts


def _is_strict() -> bool:
    """Return whether messages must conform to the grammar, as those of exchanges do."""
    return bool(ctx.options.validate_inbound_headers)


def _is_eager() -> bool:
    return bool(ctx.options.connection_strategy == "eager")


def _dials_at_once(mode: ProxyMode) -> bool:
    """Return whether the user wants the origin dialled before a request, which only mitmproxy does."""
    return type(mode) is ReverseMode and strategy_is_chosen() and _is_eager()
