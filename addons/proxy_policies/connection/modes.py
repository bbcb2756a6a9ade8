"""What a mode of mitmproxy's does for its clients. Every fast way asks here, for each client, when it serves it."""

from __future__ import annotations

from mitmproxy.proxy.mode_specs import ProxyMode, RegularMode, ReverseMode


def opens_tunnels(mode: ProxyMode) -> bool:
    """Return whether a mode's clients may have a tunnel to whatever target they name.

    A gateway need not support CONNECT (RFC 9110, section 9.3.6), and mitmproxy's reverse proxy refuses it; upstream and
    SOCKS proxies have rules of their own for it.
    """
    return type(mode) is RegularMode


def speaks_http(mode: ProxyMode) -> bool:
    """Return whether the requests of a mode's clients can be read without mitmproxy."""
    return type(mode) is RegularMode or (isinstance(mode, ReverseMode) and mode.scheme in ("http", "https"))
