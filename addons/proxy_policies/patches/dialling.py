"""When mitmproxy dials, and that it dials again after a failure.

Its reverse proxy dials before it has read a request, so that a cached answer needs
a live origin, and one failed dial fails every later request of that client's
connection. Tunnels (CONNECT, SOCKS) must go on dialling first: their answer says
whether the target is there.
"""

from collections.abc import Callable
from typing import Any

from mitmproxy import ctx
from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http, modes, tls
from mitmproxy.proxy.mode_specs import ReverseMode

from proxy_policies.patches.patch import Patch

HTTP_SCHEMES = ("http", "https")


def dials_late(context: Context) -> bool:
    """Return whether a connection's upstream is dialled when a request needs it: a reverse proxy for HTTP.

    A `connection_strategy` that the user sets is left alone.
    """
    mode = context.client.proxy_mode
    return isinstance(mode, ReverseMode) and mode.scheme in HTTP_SCHEMES and not _strategy_is_chosen()


def _strategy_is_chosen() -> bool:
    """Tell a default that the user wrote down from one that nobody touched."""
    option: Any = getattr(ctx.options, "_options", {}).get("connection_strategy")
    return isinstance(getattr(option, "value", None), str)


def _late(original: Callable[..., CommandGenerator[str | None]]) -> Callable[..., CommandGenerator[str | None]]:
    def finish_start(layer: modes.ReverseProxy) -> CommandGenerator[str | None]:
        if not dials_late(layer.context):
            return (yield from original(layer))
        layer._handle_event = layer.child_layer.handle_event
        yield from layer.child_layer.handle_event(events.Start())
        return None

    return finish_start


def _later(original: Callable[..., CommandGenerator[str | None]]) -> Callable[..., CommandGenerator[str | None]]:
    def start_server_tls(layer: tls.ClientTLSLayer) -> CommandGenerator[str | None]:
        if dials_late(layer.context):
            return None
        return (yield from original(layer))

    return start_server_tls


def _anew(original: Callable[..., bool]) -> Callable[..., bool]:
    def connection_spec_matches(wanted: http.GetHttpConnection, connection: Connection) -> bool:
        has_failed = connection.error is not None and connection.state is ConnectionState.CLOSED
        return not has_failed and original(wanted, connection)

    return connection_spec_matches


PATCHES = (
    Patch(
        owner=modes.ReverseProxy,
        attribute="finish_start",
        wrap=_late,
        versions="12.2",
        why="the reverse proxy dials its origin for answers that need none",
    ),
    Patch(
        owner=tls.ClientTLSLayer,
        attribute="start_server_tls",
        wrap=_later,
        versions="12.2",
        why="the reverse proxy dials its origin for the client's TLS",
    ),
    Patch(
        owner=http.GetHttpConnection,
        attribute="connection_spec_matches",
        wrap=_anew,
        versions="12.2",
        why="a failed dial is never tried again on the same client connection",
    ),
)
