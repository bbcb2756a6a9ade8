"""Asks for a tunnel's next layer before its client has sent anything, and again when the client has sent everything.

mitmproxy asks once the first byte has arrived. A tunnel that is passed through whatever it carries need not wait for
that, and is shown as open from its start. If a client ends before it has sent enough for a decision, mitmproxy closes
the connection and passes nothing on; if a server does, its client is not notified.
"""

from collections.abc import Callable

from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http, modes
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy
from mitmproxy.proxy.mode_specs import ReverseMode

from proxy_policies.patch import Patch, PatchKind


def is_tunnel(context: Context) -> bool:
    """Return whether the next bytes on a connection are exchanged directly by a client and its target.

    They are after CONNECT, SOCKS and on a redirected connection; not inside TLS that is terminated here.
    """
    last = context.layers[-1] if context.layers else None
    if isinstance(last, HttpUpstreamProxy):
        return any(isinstance(above, http.HttpStream) for above in context.layers)
    if isinstance(last, http.HttpStream):
        return last.flow.request.method.upper() == "CONNECT"
    return isinstance(last, modes.Socks5Proxy | modes.TransparentProxy)


def is_raw_reverse(context: Context) -> bool:
    """Return whether a reverse proxy passes on whatever bytes a client and its server exchange."""
    mode = context.client.proxy_mode
    return isinstance(mode, ReverseMode) and mode.scheme == "tcp" and len(context.layers) == 1


def is_at_end(next_layer: layer.NextLayer) -> bool:
    """Return whether the client has sent everything it will send."""
    client = next_layer.context.client
    return any(isinstance(one, events.ConnectionClosed) and one.connection is client for one in next_layer.events)


def _asking(
    original: Callable[..., layer.CommandGenerator[None]],
) -> Callable[..., layer.CommandGenerator[None]]:
    def _handle_event(next_layer: layer.NextLayer, event: events.Event) -> layer.CommandGenerator[None]:
        context = next_layer.context
        if isinstance(event, events.ConnectionClosed) and (
            is_raw_reverse(context) or (event.connection is context.client and is_tunnel(context))
        ):
            yield from _ask_at_end(next_layer, event)
            return
        if isinstance(event, events.Start):
            next_layer._ask_on_start = next_layer._ask_on_start or is_tunnel(context)
        yield from original(next_layer, event)

    return _handle_event


def _ask_at_end(next_layer: layer.NextLayer, event: events.ConnectionClosed) -> layer.CommandGenerator[None]:
    next_layer.events.append(event)
    yield from next_layer._ask()
    if next_layer.layer is None:
        yield commands.CloseConnection(next_layer.context.client)


PATCH = Patch(
    owner=layer.NextLayer,
    attribute="_handle_event",
    wrap=_asking,
    kind=PatchKind.SEAM,
    seen_on="12.2.1 to 12.3.1",
    why="an untouched tunnel is shown only after its first byte, data of a client that ends at once is lost, and in "
    "`reverse:tcp` so are a server's answer to it, and the end of a server that says nothing",
    upstream="not reported, a feature: `NextLayer` asks on start only if its creator says so, and never at the end",
    remove_when="`NextLayer` asks on start and at an end of file, or lets addons request that",
    test="tests/e2e/passthrough/test_connect.py::test_an_open_tunnel_is_shown_before_its_first_byte",
    source_sha256={"12.2.1 to 12.3.1": "fe74a435f2970e5927c2ee0c5b12b9ec72681887cc0a74b58f362a19fde273f8"},
)
"""Applied by inspection, which decides about tunnels with no bytes, or too few."""
