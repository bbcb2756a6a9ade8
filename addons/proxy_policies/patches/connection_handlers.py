"""The handlers of client connections and of flows that are sent again (`replay.client`).

No client is served before start-up is over; every socket is closed when its task ends, however it ends; a layer with
much to do lets other connections take turns; a timer can be brought forward; raw bytes go on in one direction while the
other is full.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from mitmproxy.addons import clientplayback
from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import events, mode_servers
from mitmproxy.proxy.commands import RequestWakeup
from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.log_lines import admit_client_line
from proxy_policies.patch import Companion, Patch
from proxy_policies.patches import (
    back_pressure,
    client_hellos,
    datagrams,
    dns_flows,
    dns_messages,
    resets,
    server_handshakes,
    tcp_resets,
    turns,
)
from proxy_policies.patches.generators import in_place_of
from proxy_policies.patches.wakeups import Awaited
from proxy_policies.start_up.starting import started


class ClientHandler(ConnectionHandler):
    """Serves a client."""

    def log(self, message: str, *how: Any, **why: Any) -> None:
        """Log a line about the client, unless there were too many like it."""
        if line := admit_client_line(message, time.monotonic()):
            super().log(line, *how, **why)

    async def handle_client(self) -> None:
        """Serve a client once start-up is over; meanwhile it waits, unread."""
        await started()
        if self.client.transport_protocol == "udp":
            await self._handle_datagrams()
        else:
            await super().handle_client()

    async def _handle_datagrams(self) -> None:
        """Serve a client that sends datagrams, and again after the end of its session."""
        io: Any = self.transports[self.client]
        stream = io.reader
        if not isinstance(stream, datagrams.DatagramStream):
            io.reader = io.writer = stream = datagrams.DatagramStream(stream)
        await super().handle_client()
        datagrams.serve_again(stream, self.client.proxy_mode)

    async def handle_connection(self, connection: Connection) -> None:
        """Read a connection to its end, and close its socket however the task ends.

        mitmproxy closes it in its last lines, which it never reaches if cancelled while it notifies the layers of an
        end of file: the socket stays open, and its peer hangs.
        """
        try:
            # mitmproxy's tasks start at once: if bytes or the end have already arrived, its layers would respond by
            # closing a connection that is not registered yet, and `client_disconnected` would never be called.
            await asyncio.sleep(0)
            io: Any = self.transports[connection]
            if connection.transport_protocol == "udp" and not isinstance(io.reader, datagrams.DatagramStream):
                io.reader = datagrams.DatagramStream(io.reader)
            with resets.registered(connection, self.transports[connection]):
                await super().handle_connection(connection)
        finally:
            left = self.transports.pop(connection, None)
            if left is not None and left.writer is not None:
                with contextlib.suppress(OSError):
                    left.writer.close()

    async def server_event(self, event: events.Event) -> None:
        """Handle an event; a client that ends its half before its TLS handshake is complete has left.

        mitmproxy keeps its connection open to send more: here for as long as an origin delays its own handshake.
        Layers may close a new connection before it is read, with a reset if its client was.
        """
        if isinstance(event, events.OpenConnectionCompleted):
            server = event.command.connection
            if (io := self.transports.get(server)) is not None:
                resets.register(server, io)
        client = self.client
        is_client_end = isinstance(event, events.ConnectionClosed) and event.connection is client
        if is_client_end and client.tls and not client.tls_established:
            client.state = ConnectionState.CLOSED
        await super().server_event(event)
        if isinstance(event, events.DataReceived | events.ConnectionClosed):
            back_pressure.peer_sent_something(client)

    async def on_timeout(self) -> None:
        """Disconnect a client if nothing was received for too long, and note that this is why."""
        if self.client.transport_protocol == "tcp":
            self.client.error = f"nothing moved for {self.timeout_watchdog.timeout:g} s"
        await super().on_timeout()

    async def drain_writers(self) -> None:
        """Wait until peers have accepted what was sent, in their windows too, and all received data is handled."""
        if self.client.alpn in back_pressure.MULTIPLEXED or back_pressure.runs_ahead(self):
            await back_pressure.drained(self)
        elif back_pressure.is_raw(self):
            await back_pressure.passed_on(self)
        else:
            await super().drain_writers()  # type: ignore[no-untyped-call]
        await turns.received_is_handled(self)
        await back_pressure.accepted(self)

    async def wakeup(self, request: RequestWakeup) -> None:
        """Wait for the time of a wakeup, or for what it is to wait for."""
        if isinstance(request, Awaited):
            await request.wait()
            request.delay = 0.0
        await super().wakeup(request)


class ReplayHandler(ClientHandler, clientplayback.ReplayHandler):
    """Sends a flow again."""

    async def replay(self) -> None:
        """Send it once start-up is over."""
        await started()
        await super().replay()


PATCH = Patch(
    owner=mode_servers,
    attribute="ProxyConnectionHandler",
    wrap=in_place_of(ClientHandler),
    seen_on="12.2.1 to 12.3.1",
    why="clients are served before addons are running, and an error caused by that ends the process; "
    "sockets stay open; one client that sends many small messages blocks the event loop; "
    "raw bytes stop in both directions if one end does not read; "
    "a client of `reverse:udp` that was silent for 20 s, or sent an empty datagram, is never answered again",
    upstream=(
        "not reported: let an origin reset its connection in the middle of a body without a length: to the "
        "client the response looks complete; or send datagrams from one port with a pause of 25 s"
    ),
    remove_when=(
        "mitmproxy notifies layers of a reset, serves no client before `running`, closes sockets in a `finally`, "
        "bounds its work per turn of the event loop, and tells an empty datagram from an end"
    ),
    test="tests/e2e/messages/test_cut_answers.py::test_a_cut_answer_is_cut_and_not_stored",
    source_sha256={"12.2.1 to 12.3.1": "328c425f675582263c36c95b80301c495cffe4acde29ab4030fab50547128ed5"},
    companions=(
        tcp_resets.COMPANION,
        *client_hellos.COMPANIONS,
        dns_flows.COMPANION,
        *dns_messages.COMPANIONS,
        server_handshakes.COMPANION,
        Companion(
            owner=clientplayback,
            attribute="ReplayHandler",
            wrap=in_place_of(ReplayHandler),
            seen_on="12.2.1 to 12.3.1",
            why="the same when a flow is sent again",
            test="tests/e2e/start_up/test_first_instant.py::test_a_replay_of_the_first_instant",
            source_sha256={"12.2.1 to 12.3.1": "0447db7a7fd323f02f6dcb6b1874f9ef9787fd029b7c219f27065cfa989fe186"},
        ),
    ),
)
