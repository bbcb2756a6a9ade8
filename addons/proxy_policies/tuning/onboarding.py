"""Requests for mitmproxy itself, recognised without a task or a number to format. Tried on mitmproxy 12.2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.addons.onboarding import Onboarding
from mitmproxy.addons.tlsconfig import TlsConfig

from proxy_policies.patches.patch import Replacement

Hook = Callable[[Any, http.HTTPFlow], Awaitable[None]]


def only_for_its_host(original: Hook) -> Callable[[Any, http.HTTPFlow], Awaitable[None] | None]:
    """Begin to serve what is to be served; the original looks once more."""

    def request(onboarding: Onboarding, flow: http.HTTPFlow) -> Awaitable[None] | None:
        if ctx.options.onboarding and onboarding.should_serve(flow):
            return original(onboarding, flow)
        return None

    return request


def written_once(original: Callable[[Any], str]) -> Callable[[Any], str]:
    """Write the path of a certificate authority's revocation list once, for as long as it is the same authority."""
    written: tuple[object, str] = (None, "")

    def crl_path(tls_config: TlsConfig) -> str:
        nonlocal written
        authority = tls_config.certstore.default_ca
        if written[0] is not authority:
            written = (authority, original(tls_config))
        return written[1]

    return crl_path


OWN_HOSTS = (
    Replacement(
        owner=Onboarding,
        attribute="request",
        wrap=only_for_its_host,
        seen_on="12.2",
        why="a coroutine is made for each request to find that it is not for mitm.it",
    ),
    Replacement(
        owner=TlsConfig,
        attribute="crl_path",
        wrap=written_once,
        seen_on="12.2",
        why="the serial number of our authority is read and written for each request",
    ),
)
