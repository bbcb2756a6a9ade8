"""Chooses what responds to a request without mitmproxy's layers, if that is permitted, trying each in order."""

from __future__ import annotations

import functools
from collections.abc import Coroutine
from typing import Any

from mitmproxy import ctx
from mitmproxy.proxy.mode_specs import ProxyMode

from proxy_policies.addresses import is_tunnel_name
from proxy_policies.byte_streams.byte_stream import SocketStream
from proxy_policies.connection.fast_path_guard import open_paths, paths_of
from proxy_policies.dispatch.dispatcher import HookTable
from proxy_policies.exchange.exchange import Exchange, ExchangeClient
from proxy_policies.exchange.origin_connections import Destination
from proxy_policies.fast_paths import COUNTED
from proxy_policies.http1.plain_messages import read_plain_request
from proxy_policies.http1.request_heads import address_of, read_connect
from proxy_policies.inspection.hosts import Hosts, why_untouched
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.passthrough.tunnel import DirectTunnel
from proxy_policies.validity import Invalid

with lazy_imports():
    from proxy_policies.connection import learned_responses


class Responders:
    """Learned responses, tunnels and exchanges, each used only if no addon objects."""

    def __init__(self) -> None:
        self._learned: learned_responses.LearnedResponses | None = None
        self.table: HookTable | None = None
        """Which addons have which hooks; None while the fast paths are off."""
        self._decided_for = 0
        """The table's version."""
        self._open: frozenset[str] = frozenset()
        self._open_to: dict[ProxyMode, frozenset[str]] = {}
        self._tcp_timeout = 0.0
        """mitmproxy's option, in seconds."""
        self._counts = dict.fromkeys(COUNTED, 0)

    def count(self, name: str) -> None:
        """Count one of COUNTED."""
        self._counts[name] += 1

    def counts(self) -> dict[str, int]:
        """Return how many requests took each path around mitmproxy's layers, and how many clients were handed over."""
        return {**self._counts, "hits": self._learned.count if self._learned else 0}

    def reconsider(self, *, learns: bool) -> None:
        """Check objections again and forget learned responses, because options have changed."""
        self._decided_for = 0
        self._tcp_timeout = float(getattr(ctx.options, "tcp_timeout", 0))
        if self._learned is None and learns:
            self._learned = learned_responses.LearnedResponses()
        if self._learned:
            self._learned.forget()

    def paths(self, mode: ProxyMode) -> frozenset[str]:
        """Return the paths around mitmproxy's layers that clients of a mode may use; they are decided once."""
        if not (open_now := self._open_now()):
            return open_now
        found = self._open_to.get(mode)
        if found is None:
            found = self._open_to[mode] = open_now & paths_of(mode)
        return found

    def is_open(self, path: str) -> bool:
        """Return whether a path around mitmproxy's layers may be used, by clients of some mode."""
        return path in self._open_now()

    def _open_now(self) -> frozenset[str]:
        """Return the paths that may be used, decided again if addons or options have changed."""
        if self.table is None:
            return frozenset()
        if self._decided_for != self.table.version:
            self._decided_for, self._open = self.table.version, open_paths(self.table)
            self._open_to.clear()
        return self._open

    # In order

    def send_learned(self, connection: Any) -> bool:
        """Send the learned responses to received requests, up to a bound; return False if the first has none."""
        learned = self._learned
        if learned is None or not learned.known or not self.is_open("hits"):
            return False
        respond, store = learned.respond, learned_responses.sync_view()
        if store is None:
            return False
        return bool(connection.respond_to_each(lambda head: respond(connection, head, store)))

    def response_to(self, connection: ExchangeClient, head: bytes) -> Exchange | Coroutine[Any, Any, bool] | None:
        """Return the tunnel or exchange that responds to a request; None to leave it to mitmproxy."""
        if head.startswith(b"CONNECT "):
            return self._tunnel(connection)
        return self._exchange(connection, head) if self.is_open("exchanges") else None

    def _tunnel(self, connection: ExchangeClient) -> Coroutine[Any, Any, bool] | None:
        client, stream, hosts = connection.client, connection.stream, _inspected_hosts()
        table = self.table
        if table is None or hosts is None or "tunnels" not in self.paths(client.proxy_mode):
            return None
        asked = read_connect(bytes(stream.received))
        if asked is None or is_tunnel_name(asked.host) or not isinstance(stream, SocketStream):
            return None
        if not (why := why_untouched(hosts, asked.host, asked.port)):
            return None
        opened = functools.partial(self.count, "tunnels")
        tunnel = DirectTunnel(
            *(client, stream, asked, why),
            trigger=connection.trigger,
            table=table,
            idle=self._tcp_timeout,
            opened=opened,
        )
        return tunnel.run()

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
        if self._learned and exchange.is_learnable and exchange.writer.wire and self.is_open("hits"):
            self._learned.learn(connection, head, exchange)


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
