"""Decides whether a path around mitmproxy's layers may be used: only if no addon with a relevant hook objects.

Which paths a client may use at all depends on its mode: each path checks that here, for each client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mitmproxy import ctx
from mitmproxy.proxy.mode_specs import ProxyMode, RegularMode, ReverseMode

from proxy_policies.dispatch.table import HookTable
from proxy_policies.fast_paths import objections

_CONNECTIONS = (
    *("client_connected", "client_disconnected"),
    *("server_connect", "server_connected", "server_connect_error", "server_disconnected"),
)
_FLOWS = ("requestheaders", "request", "responseheaders", "response", "error")
EVENTS: Mapping[str, Sequence[str]] = {
    "hits": (*_CONNECTIONS[:2], *_FLOWS),
    "tunnels": (
        *_CONNECTIONS,
        *("http_connect", "http_connected", "http_connect_error", "next_layer"),
        *("tcp_start", "tcp_message", "tcp_end", "tcp_error"),
    ),
    "exchanges": (
        *_CONNECTIONS,
        *_FLOWS,
        *("next_layer", "tls_start_server", "tls_established_server", "tls_failed_server"),
    ),
}
"""By path: the hooks that give an addon a say."""
_NOT_HTTP = ("ignore_hosts", "allow_hosts", "tcp_hosts")
_SEEN = ("save_stream_file", "proxy_debug")
MITMPROXY_OPTIONS: Mapping[str, Sequence[str]] = {
    "hits": (
        *("proxyauth", "stickycookie", "stickyauth", "modify_headers", "modify_body", "map_local", "map_remote"),
        *("block_list", "server_replay", "hardump", "intercept", "dumper_filter", "anticache", "anticomp"),
        *_NOT_HTTP,
        *_SEEN,
    ),
    "tunnels": ("proxyauth", "connect_addr", *_NOT_HTTP, *_SEEN),
    "exchanges": ("body_size_limit", "stream_large_bodies", "map_remote", "intercept", "proxy_debug", *_NOT_HTTP),
}
"""mitmproxy's own addons declare nothing: on their behalf, setting any of these options closes the path."""


class FastPathGuard:
    """Guards one path; decides again when addons change, and after `forget`, called when options change."""

    def __init__(self, path: str, condition: Callable[[], bool] = lambda: True) -> None:
        self._path, self._condition = path, condition
        self._version, self._is_open = 0, False

    def forget(self) -> None:
        """Decide again at the next check."""
        self._version = 0

    def is_open(self, table: HookTable) -> bool:
        """Return whether the path may be used now."""
        if self._version != table.version:
            self._version = table.version
            self._is_open = (
                not _are_set(MITMPROXY_OPTIONS[self._path]) and self._condition() and not self.closed_by(table)
            )
        return self._is_open

    def closed_by(self, table: HookTable) -> list[object]:
        """Return the addons that object."""
        concerned = [addon for name in EVENTS[self._path] for group in table.groups(name) for addon in group]
        return [addon for addon in concerned if self._objects(addon)]

    def _objects(self, addon: object) -> bool:
        if type(addon).__module__.startswith("mitmproxy."):
            return False
        options = objections(addon, self._path)
        return options is None or _are_set(options)


def _are_set(options: Sequence[str]) -> bool:
    return any(getattr(ctx.options, name, None) for name in options)


def opens_tunnels(mode: ProxyMode) -> bool:
    """Return whether a mode's clients may open a tunnel to any target.

    A gateway need not support CONNECT (RFC 9110, section 9.3.6), and mitmproxy's reverse proxy refuses it; upstream and
    SOCKS modes have their own rules for it.
    """
    return type(mode) is RegularMode


def speaks_http(mode: ProxyMode) -> bool:
    """Return whether the requests of a mode's clients can be read without mitmproxy."""
    return type(mode) is RegularMode or (isinstance(mode, ReverseMode) and mode.scheme in ("http", "https"))
