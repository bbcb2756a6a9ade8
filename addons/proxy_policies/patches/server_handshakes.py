"""Time limits for handshakes with upstreams: TLS, and the next proxy's response to CONNECT.

mitmproxy lets a client wait until `tcp_timeout`, ten minutes, for an upstream that accepts a connection and says
nothing.
"""

import functools
from collections.abc import Callable
from weakref import WeakKeyDictionary, ref

from mitmproxy import ctx
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy
from mitmproxy.proxy.tunnel import TunnelLayer, TunnelState

from proxy_policies.patch import Companion

CONNECT_RESPONSE = 60.0
"""Seconds for the next proxy's response to CONNECT, as in Go's net/http: it connects and resolves names meanwhile."""

HandleEvent = Callable[[TunnelLayer, events.Event], CommandGenerator[None]]


class Deadline(commands.RequestWakeup):
    """Ends a layer's handshake if that is still in progress by then."""

    def __init__(self, layer: TunnelLayer) -> None:
        seconds: float = ctx.master.addons.get("dial").connect_timeout
        is_connect = isinstance(layer, HttpUpstreamProxy)
        super().__init__(max(seconds, CONNECT_RESPONSE) if is_connect else seconds)
        self._layer = ref(layer)
        self.error = "the next proxy has not answered in time" if is_connect else "TLS handshake timed out"

    def is_of(self, layer: TunnelLayer) -> bool:
        """Return whether this is a layer's deadline, or was one."""
        return self._layer() is layer


_deadlines: WeakKeyDictionary[TunnelLayer, Deadline] = WeakKeyDictionary()
"""Those of handshakes in progress."""


def _within_limits(original: HandleEvent) -> HandleEvent:
    @functools.wraps(original)
    def _handle_event(layer: TunnelLayer, event: events.Event) -> CommandGenerator[None]:
        if isinstance(event, events.Wakeup) and isinstance(event.command, Deadline) and event.command.is_of(layer):
            return _end(layer, event.command)
        handling = original(layer, event)
        is_server = layer.tunnel_connection is not layer.context.client
        return _limit(layer, handling) if is_server and layer.tunnel_state is not TunnelState.OPEN else handling

    return _handle_event


def _limit(layer: TunnelLayer, handling: CommandGenerator[None]) -> CommandGenerator[None]:
    yield from handling
    if layer.tunnel_state is not TunnelState.ESTABLISHING:
        _deadlines.pop(layer, None)
    elif layer not in _deadlines:
        _deadlines[layer] = Deadline(layer)
        yield _deadlines[layer]


def _end(layer: TunnelLayer, deadline: Deadline) -> CommandGenerator[None]:
    if _deadlines.pop(layer, None) is deadline:
        yield from layer.on_handshake_error(deadline.error)
        yield from layer._handshake_finished(deadline.error)


COMPANION = Companion(
    owner=TunnelLayer,
    attribute="_handle_event",
    wrap=_within_limits,
    seen_on="12.2.1 to 12.3.1",
    why="a client waits ten minutes for an upstream that accepts its connection and says nothing",
    test="tests/e2e/passthrough/test_silent_upstreams.py::test_one_that_says_nothing_in_its_tls_handshake",
    source_sha256={"12.2.1 to 12.3.1": "00676a887c456ceca7b2702dcdce0810810a457907b453c1abc570f43cf77186"},
)
