"""Puts our sides of HTTP/1 in mitmproxy's place."""

from collections.abc import Callable

from mitmproxy.net.http import http1
from mitmproxy.proxy.layers import http as layers

from proxy_policies.fields import Fields
from proxy_policies.patches.generators import in_place_of
from proxy_policies.patches.http1_client import Client
from proxy_policies.patches.http1_server import Server
from proxy_policies.patches.messages import persists
from proxy_policies.patches.patch import Patch


def _by_rfc_9112(_: Callable[..., bool]) -> Callable[..., bool]:
    def connection_close(http_version: str | bytes, headers: object) -> bool:
        version = http_version.decode("ascii", "replace") if isinstance(http_version, bytes) else http_version
        return not persists(version, Fields(getattr(headers, "fields", ())))

    return connection_close


PATCHES = (
    Patch(
        owner=http1,
        attribute="connection_close",
        wrap=_by_rfc_9112,
        versions="12.2",
        why="Connection: CLOSE does not close, and HTTP/1.0 with Keep-Alive does",
    ),
    Patch(
        owner=layers,
        attribute="Http1Server",
        wrap=in_place_of(Server),
        versions="12.2",
        why="framing and persistence towards clients follow what addons edit; oversized heads and trailers hang",
    ),
    Patch(
        owner=layers,
        attribute="Http1Client",
        wrap=in_place_of(Client),
        versions="12.2",
        why="framing, persistence and version towards origins follow what addons edit; trailers hang",
    ),
)
