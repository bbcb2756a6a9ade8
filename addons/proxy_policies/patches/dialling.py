"""Delays dialling in reverse mode.

mitmproxy's reverse proxy dials before it has read a request, so that even a cached response needs a live origin.
Tunnels (CONNECT, SOCKS) must still dial first: their response says whether the target can be reached.
"""

from collections.abc import Callable
from typing import Any

from mitmproxy import ctx
from mitmproxy.addonmanager import AddonManager
from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.tls import ClientHelloData

from proxy_policies.patch import Patch

HTTP_SCHEMES = ("http", "https")


def dials_late(context: Context) -> bool:
    """Return whether a connection's upstream is dialled only when a request needs it: true of reverse proxies for HTTP.

    A `connection_strategy` set by the user is respected.
    """
    mode = context.client.proxy_mode
    return isinstance(mode, ReverseMode) and mode.scheme in HTTP_SCHEMES and not strategy_is_chosen()


def strategy_is_chosen() -> bool:
    """Return whether the user set `connection_strategy`, even to its default."""
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


class LateServerTls:
    """Keeps a client's TLS handshake from dialling the origin where dialling waits for a request."""

    name = "late-server-tls"

    def load_into(self, addons: AddonManager) -> Callable[[], None]:
        """Join the chain after mitmproxy's own addons; the returned function leaves it again."""
        addons.chain = [*addons.chain, self]

        def undo() -> None:
            addons.chain = [addon for addon in addons.chain if addon is not self]

        return undo

    def tls_clienthello(self, data: ClientHelloData) -> None:
        """Set up the client's TLS without the server's."""
        if dials_late(data.context):
            data.establish_server_tls_first = False


PATCH = Patch(
    owner=modes.ReverseProxy,
    attribute="finish_start",
    wrap=_late,
    seen_on="12.2.1 to 12.3.1",
    why="the reverse proxy dials its origin for responses that do not need it",
    upstream=("https://github.com/mitmproxy/mitmproxy/issues/2464, https://github.com/mitmproxy/mitmproxy/issues/4775"),
    remove_when="reverse mode dials for HTTP only when a request needs it, even if other modes are eager",
    test="tests/e2e/reverse/test_reverse.py::test_the_origin_is_dialled_only_when_a_request_needs_it",
    source_sha256={"12.2.1 to 12.3.1": "91f47432073a2bf6659c4d431a5220f495a2b10e04bbf1d59dd290eafe4340b8"},
)
