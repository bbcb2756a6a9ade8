"""Asking what becomes of a tunnel before its client has said anything.

mitmproxy asks when the first byte has come; a tunnel that stays untouched whatever
comes need not wait for it, and shows as open from its beginning.
"""

from collections.abc import Callable

from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http, modes
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy

from proxy_policies.patches.patch import Kind, Patch


def is_tunnel(context: Context) -> bool:
    """Return whether what comes next on a connection is what a client and its target say to each other.

    So it is behind CONNECT, SOCKS and a redirected connection; not behind TLS that ends here.
    """
    last = context.layers[-1]
    if isinstance(last, HttpUpstreamProxy):
        return any(isinstance(above, http.HttpStream) for above in context.layers)
    if isinstance(last, http.HttpStream):
        return last.flow.request.method.upper() == "CONNECT"
    return isinstance(last, modes.Socks5Proxy | modes.TransparentProxy)


def _asking(
    original: Callable[..., layer.CommandGenerator[None]],
) -> Callable[..., layer.CommandGenerator[None]]:
    def _handle_event(next_layer: layer.NextLayer, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start) and next_layer.context.layers:
            next_layer._ask_on_start = next_layer._ask_on_start or is_tunnel(next_layer.context)
        yield from original(next_layer, event)

    return _handle_event


PATCH = Patch(
    owner=layer.NextLayer,
    attribute="_handle_event",
    wrap=_asking,
    kind=Kind.SEAM,
    seen_on="12.2.1 to 12.3.1",
    why="an untouched tunnel shows only after its first byte",
    upstream="not reported, a feature: `NextLayer` asks on start only where its maker says so",
    remove_when="`NextLayer` asks on start everywhere, or lets addons say that it shall",
    test="tests/e2e/passthrough/test_connect.py::test_an_open_tunnel_is_shown_before_its_first_byte",
    source_sha256={"12.2.1 to 12.3.1": "fe74a435f2970e5927c2ee0c5b12b9ec72681887cc0a74b58f362a19fde273f8"},
)
"""Applied by inspection, which alone knows an answer without a byte."""
