"""When mitmproxy dials.

Its reverse proxy dials before it has read a request, so that a cached answer needs a live origin. Tunnels (CONNECT,
SOCKS) must go on dialling first: their answer says whether the target is there.
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
    """Return whether a connection's upstream is dialled when a request needs it: a reverse proxy for HTTP.

    A `connection_strategy` that the user sets is left alone.
    """
    mode = context.client.proxy_mode
    return isinstance(mode, ReverseMode) and mode.scheme in HTTP_SCHEMES and not strategy_is_chosen()


def strategy_is_chosen() -> bool:
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


class LateServerTls:
    """Keeps a client's TLS from having its origin dialled where none is dialled before a request."""

    name = "late-server-tls"

    def load_into(self, addons: AddonManager) -> Callable[[], None]:
        """Be asked after mitmproxy's own addons, until the function that is returned is called."""
        addons.chain = [*addons.chain, self]

        def undo() -> None:
            addons.chain = [addon for addon in addons.chain if addon is not self]

        return undo

    def tls_clienthello(self, data: ClientHelloData) -> None:
        """Have the client's TLS set up alone."""
        if dials_late(data.context):
            data.establish_server_tls_first = False


PATCH = Patch(
    owner=modes.ReverseProxy,
    attribute="finish_start",
    wrap=_late,
    seen_on="12.2.1 to 12.3.1",
    why="the reverse proxy dials its origin for answers that need none",
    upstream=("https://github.com/mitmproxy/mitmproxy/issues/2464, https://github.com/mitmproxy/mitmproxy/issues/4775"),
    remove_when="reverse mode dials for HTTP when a request needs it, though other modes are eager",
    test="tests/e2e/reverse/test_reverse.py::test_nobody_is_dialled_before_a_request_needs_it",
    source_sha256={"12.2.1 to 12.3.1": "91f47432073a2bf6659c4d431a5220f495a2b10e04bbf1d59dd290eafe4340b8"},
)
