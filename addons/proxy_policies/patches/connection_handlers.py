"""Who serves a connection, of a client or of a flow that is sent again (`replay.client`).

Nobody is served before start-up is over; every socket is closed whenever its task ends; a layer that has more to do
takes turns; a timer can be brought forward.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from mitmproxy.addons import clientplayback
from mitmproxy.connection import Connection
from mitmproxy.proxy import mode_servers
from mitmproxy.proxy.commands import RequestWakeup
from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.log_lines import admit_client_line
from proxy_policies.patch import Companion, Patch
from proxy_policies.patches import resets, tcp_resets, turns
from proxy_policies.patches.generators import in_place_of
from proxy_policies.patches.http2 import back_pressure
from proxy_policies.patches.http_stream.streaming import Timer
from proxy_policies.settings import started


class Handler(ConnectionHandler):
    """Serves a client."""

    def log(self, message: str, *how: Any, **why: Any) -> None:
        """Log a line about the client, if there were not too many like it."""
        if line := admit_client_line(message, time.monotonic()):
            super().log(line, *how, **why)

    async def handle_client(self) -> None:
        """Serve a client once start-up is over; meanwhile it waits, unread.

        One that has reset its connection by then has no address, which addons count on, mitmproxy's own among them.
        """
        await started()
        address: Any = self.client.peername
        if address is not None:
            await super().handle_client()
        elif (writer := self.transports.pop(self.client).writer) is not None:
            writer.close()

    async def handle_connection(self, connection: Connection) -> None:
        """Read a connection to its end, and close its socket, whenever the task ends.

        mitmproxy closes it in its last lines. Cancelled while it waits to tell the layers of an end of file, it never
        gets there: the socket stays open, and its peer hangs.
        """
        try:
            # mitmproxy's tasks begin at once: where bytes, or the end, have come already, its layers would answer with
            # the closing of a connection that it does not know yet, and `client_disconnected` would never be asked.
            await asyncio.sleep(0)
            with resets.noting(connection, self.transports[connection]):
                await super().handle_connection(connection)
        finally:
            left = self.transports.pop(connection, None)
            if left is not None and left.writer is not None:
                with contextlib.suppress(OSError):
                    left.writer.close()

    async def drain_writers(self) -> None:
        """Wait until peers have taken what they were sent, windows included, and what was read is worked off."""
        if self.client.alpn == b"h2":
            await back_pressure.drained(self)
        else:
            await super().drain_writers()  # type: ignore[no-untyped-call]
        await turns.worked_off(self)
        await back_pressure.taken(self)

    async def wakeup(self, request: RequestWakeup) -> None:
        """Wait for the time of a wakeup, or until it is brought forward."""
        if isinstance(request, Timer):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(request.over.wait(), request.delay)
            request.delay = 0.0
        await super().wakeup(request)


class Replay(Handler, clientplayback.ReplayHandler):
    """Sends a flow again."""

    async def replay(self) -> None:
        """Send it once start-up is over."""
        await started()
        await super().replay()


PATCH = Patch(
    owner=mode_servers,
    attribute="ProxyConnectionHandler",
    wrap=in_place_of(Handler),
    seen_on="12.2.1 to 12.3.1",
    why="clients are served while addons are not running yet, and an error that comes of it ends the process; "
    "sockets stay open; one client that sends many small things holds the event loop",
    upstream=(
        "not reported: an origin that resets its connection in the middle of a body without a length: the "
        "client gets a whole answer"
    ),
    remove_when=(
        "mitmproxy tells layers of a reset, serves nobody before `running`, closes sockets in a `finally`, "
        "bounds what it does in a turn"
    ),
    test="tests/e2e/messages/test_cut_answers.py::test_a_cut_answer_is_cut_and_not_stored",
    source_sha256={"12.2.1 to 12.3.1": "328c425f675582263c36c95b80301c495cffe4acde29ab4030fab50547128ed5"},
    companions=(
        tcp_resets.COMPANION,
        Companion(
            owner=clientplayback,
            attribute="ReplayHandler",
            wrap=in_place_of(Replay),
            seen_on="12.2.1 to 12.3.1",
            why="the same where a flow is sent again",
            test="tests/e2e/start_up/test_first_instant.py::test_a_replay_of_the_first_instant",
            source_sha256={"12.2.1 to 12.3.1": "0447db7a7fd323f02f6dcb6b1874f9ef9787fd029b7c219f27065cfa989fe186"},
        ),
    ),
)
