"""A client's connection without sockets: mitmproxy's layers for it, what they say to whom, and which hooks they ask."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from mitmproxy import ctx, http
from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, Connection, ConnectionState, Server
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons

from proxy_policies.fastlane.events import Inline
from proxy_policies.fastlane.express.lane import Express, Tally
from proxy_policies.fastlane.express.place import Place, find
from proxy_policies.log_lines import Throttle
from proxy_policies.patches import http1_server
from proxy_policies.patches.addon import Patches

Act = Callable[[str, http.HTTPFlow], bool | None]
"""What addons do in a hook; False: that takes a while."""
Said = tuple[Any, ...]
"""One thing that happened: a hook with the flow it was about, bytes sent, a connection opened or closed, a log line."""


@contextmanager
def mitmproxy(**options: Any) -> Iterator[NextLayer]:
    """Have mitmproxy's options and our patches in place, and every line in the log: none is one too many."""
    chooser, patches = NextLayer(), Patches()
    unthrottled = patch.object(http1_server, "_refused", Throttle(every=0.0))
    with unthrottled, taddons.context(Proxyserver(), chooser, patches) as context:
        try:
            context.configure(chooser, **options)
            yield chooser
        finally:
            patches.done()


class Wire:
    """Feeds a connection's topmost layer, with the express lane above it or without."""

    def __init__(self, chooser: NextLayer, act: Act, *, mode: str, express: bool, may_go: bool = True) -> None:
        options = ctx.options
        self.client = Client(
            peername=("192.0.2.1", 1), sockname=("192.0.2.2", 2), timestamp_start=1, state=ConnectionState.OPEN
        )
        self.client.proxy_mode = ProxyMode.parse(mode)
        top = modes.HttpProxy if mode == "regular" else modes.ReverseProxy
        inline = Inline(top(Context(self.client, options)), self._ask)
        self.tally = Tally()
        self._top = Express(inline, self._ask, lambda: may_go, self.tally) if express else inline
        self._chooser, self._act = chooser, act
        self._open: set[Connection] = {self.client}
        self._said: list[Said] = []
        self.origins: list[Server] = []
        self.refuses = False
        self.pending: deque[commands.StartHook] = deque()
        self.flows: list[http.HTTPFlow] = []
        self._feed(events.Start())

    # What happens outside

    def client_says(self, data: bytes) -> None:
        """Bytes from the client."""
        self._feed(events.DataReceived(self.client, data))

    def origin_says(self, data: bytes, which: int = -1) -> None:
        """Bytes from an origin, if it is still connected."""
        if self.origins and self.origins[which].state & ConnectionState.CAN_READ:
            self._feed(events.DataReceived(self.origins[which], data))

    def client_closes(self) -> None:
        """End of file from the client."""
        self._ends(self.client)

    def origin_closes(self, which: int = -1) -> None:
        """End of file from an origin."""
        if self.origins:
            self._ends(self.origins[which])

    def resume(self) -> None:
        """The first hook that takes a while is through."""
        if self.pending and (hook := self.pending.popleft()).blocking:
            self._feed(events.HookCompleted(hook))

    def _ends(self, connection: Connection) -> None:
        if connection in self._open and connection.state & ConnectionState.CAN_READ:
            connection.state &= ~ConnectionState.CAN_READ
            self._feed(events.ConnectionClosed(connection))
            if connection.state is ConnectionState.CLOSED:
                self._open.discard(connection)

    # What comes of it

    def place(self) -> Place:
        """Give where exchanges take place."""
        found = find(self._top.context)
        assert found
        return found

    def take(self) -> list[Said]:
        """Give what happened since the last look; bytes to the same side in one."""
        said, self._said = self._said, []
        merged: list[Said] = []
        for one in said:
            if merged and one[0] == "bytes" and merged[-1][:2] == one[:2]:
                merged[-1] = (*one[:2], merged[-1][2] + one[2])
            else:
                merged.append(one)
        return merged

    def _name(self, connection: Connection) -> str:
        return "client" if connection is self.client else f"origin {self.origins.index(connection)}"  # type: ignore[arg-type]

    def _ask(self, hook: commands.StartHook) -> bool:
        if isinstance(hook, layer.NextLayerHook):
            self._chooser.next_layer(hook.data)
            return True
        flow = hook.args()[0]
        if not isinstance(flow, http.HTTPFlow):  # of what an exchange became: a tunnel, say
            self._said.append(("hook", hook.name))
            return True
        if not any(flow is known for known in self.flows):
            self.flows.append(flow)
        self._said.append(("hook", hook.name, state(flow, self.origins)))
        return self._act(hook.name, flow) is not False

    def _feed(self, event: events.Event) -> None:
        due = deque([event])
        while due:
            for command in self._top.handle_event(due.popleft()):
                due.extend(self._obey(command))

    def _obey(self, command: commands.Command) -> Iterator[events.Event]:
        match command:
            case commands.OpenConnection():
                yield self._opened(command)
            case commands.Log():
                self._said.append(("log", command.message))
            case commands.StartHook():
                self.pending.append(command)
            case commands.ConnectionCommand() if command.connection not in self._open:
                pass
            case commands.SendData():
                self._said.append(("bytes", self._name(command.connection), command.data))
            case commands.CloseConnection():
                yield from self._close(command.connection, bool(getattr(command, "half_close", False)))
            case _:
                self._said.append(("asked", type(command).__name__))

    def _opened(self, command: commands.OpenConnection) -> events.Event:
        server = command.connection
        self.origins.append(server)
        self._said.append(("opens", self._name(server), server.address))
        if self.refuses:
            server.error = "refused"
            return events.OpenConnectionCompleted(command, "refused")
        server.state = ConnectionState.OPEN
        server.timestamp_start = server.timestamp_tcp_setup = 1
        server.peername, server.sockname = ("192.0.2.3", 80), ("192.0.2.2", 3)
        self._open.add(server)
        return events.OpenConnectionCompleted(command, None)

    def _close(self, connection: Connection, half: bool) -> Iterator[events.Event]:
        self._said.append(("half-closes" if half else "closes", self._name(connection)))
        connection.state = connection.state & ~ConnectionState.CAN_WRITE if half else ConnectionState.CLOSED
        if connection.state is ConnectionState.CLOSED:
            yield events.ConnectionClosed(connection)
            self._open.discard(connection)


def state(flow: http.HTTPFlow, origins: list[Server]) -> dict[str, Any]:
    """Give all of a flow that two runs have in common."""
    server = flow.server_conn
    return {
        "request": _message(flow.request),
        "response": _message(flow.response) if flow.response else None,
        "error": flow.error.msg if flow.error else None,
        "live": flow.live,
        "server": (server.address, origins.index(server) if server in origins else None),
        "websocket": flow.websocket is not None,
    }


def _message(message: http.Message) -> dict[str, Any]:
    told = dict(message.data.get_state())
    return {**told, "timestamp_start": told["timestamp_start"] > 0, "timestamp_end": told["timestamp_end"] is not None}
