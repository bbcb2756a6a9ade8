"""Decides whether a path around mitmproxy's layers may be used: only if no addon with a relevant hook objects.

Which paths a client may use at all depends on its mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mitmproxy import ctx
from mitmproxy.proxy.mode_specs import ProxyMode, RegularMode, ReverseMode

from proxy_policies.dispatch.dispatcher import HookTable
from proxy_policies.fast_paths import PATHS, objections
from proxy_policies.patches.dialling import strategy_is_chosen

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

CONDITIONS: Mapping[str, Callable[[], bool]] = {
    "hits": lambda: getattr(ctx.options, "flow_detail", 0) <= 1 and ctx.master.addons.get("view") is None,
    "tunnels": lambda: bool(ctx.options.connection_strategy == "eager"),
    "exchanges": lambda: bool(ctx.options.validate_inbound_headers),
}
"""What else must hold: nobody looks at the flows of hits, tunnels are dialled before they are answered, and messages
must conform to the grammar."""


def open_paths(table: HookTable) -> frozenset[str]:
    """Return the paths that may be used with the addons in a table and the current options."""
    return frozenset(path for path in PATHS if _is_open(path, table))


def _is_open(path: str, table: HookTable) -> bool:
    return CONDITIONS[path]() and not _are_set(MITMPROXY_OPTIONS[path]) and not closed_by(path, table)


def closed_by(path: str, table: HookTable) -> list[object]:
    """Return the addons that object to a path."""
    concerned = [addon for name in EVENTS[path] for group in table.groups(name) for addon in group]
    return [addon for addon in concerned if _objects(addon, path)]


def _objects(addon: object, path: str) -> bool:
    if type(addon).__module__.startswith("mitmproxy."):
        return False
    options = objections(addon, path)
    return options is None or _are_set(options)


def _are_set(options: Sequence[str]) -> bool:
    return any(getattr(ctx.options, name, None) for name in options)


def paths_of(mode: ProxyMode) -> frozenset[str]:
    """Return the paths that clients of a mode may use."""
    if not speaks_http(mode) or _dials_at_once(mode):
        return frozenset()
    return frozenset(path for path in PATHS if path != "tunnels" or opens_tunnels(mode))


def _dials_at_once(mode: ProxyMode) -> bool:
    """Return whether the user wants the origin dialled before a request, which only mitmproxy does."""
    return type(mode) is ReverseMode and strategy_is_chosen() and bool(ctx.options.connection_strategy == "eager")


def opens_tunnels(mode: ProxyMode) -> bool:
    """Return whether a mode's clients may open a tunnel to any target.

    A gateway need not support CONNECT (RFC 9110, section 9.3.6), and mitmproxy's reverse proxy refuses it; upstream and
    SOCKS modes have their own rules for it.
    """
    return type(mode) is RegularMode


def speaks_http(mode: ProxyMode) -> bool:
    """Return whether the requests of a mode's clients can be read without mitmproxy."""
    return type(mode) is RegularMode or (isinstance(mode, ReverseMode) and mode.scheme in ("http", "https"))
