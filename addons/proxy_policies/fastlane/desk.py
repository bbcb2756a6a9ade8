"""Fresh cache hits answered where bytes are read, before mitmproxy sees them. Tried on mitmproxy 12.2.

A client's bytes are looked at whenever mitmproxy has nothing under way on the connection. A request that was learnt
and that the cache still answers is answered there and then; everything else goes on untouched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mitmproxy import http
from mitmproxy.connection import Client
from mitmproxy.proxy.layers.http import HttpLayer
from mitmproxy.proxy.layers.http._http1 import Http1Server
from mitmproxy.proxy.server import ConnectionHandler
from mitmproxy.utils import human

from proxy_policies import flow_state
from proxy_policies.cache.flows import transaction_of
from proxy_policies.cache.store import SyncView
from proxy_policies.fastlane.dispatch import Table
from proxy_policies.fastlane.handover import Watched
from proxy_policies.fastlane.hits import ALONE, FULL, LONGEST_BODY, Hits, Lesson, Served, story_of
from proxy_policies.fastlane.memo import HEAD_END

LONGEST_HEAD = 8192  # bytes of a request that is remembered


class Tee:
    """A client's writer that also notes what is written."""

    def __init__(self, writer: Any, lesson: Lesson) -> None:
        self.genuine, self.lesson = writer, lesson

    def __getattr__(self, name: str) -> Any:
        return getattr(self.genuine, name)

    def write(self, data: bytes) -> None:
        """Write, and note it."""
        if len(self.lesson.wire) < LONGEST_BODY:
            self.lesson.wire += data
        self.genuine.write(data)


class Desk:
    """One client connection at which hits are answered."""

    def __init__(
        self, hits: Hits, table: Table, handler: ConnectionHandler, watched: Watched, active: Callable[[Client], None]
    ) -> None:
        self._hits, self._table, self._handler, self._active = hits, table, handler, active
        client = handler.client
        self._client, self._layers = client, handler.layer.context.layers
        self._writer = watched.end.writer
        self._transport: Any = watched.end.transport
        self._server: Any = None
        self.who = f"{client.peername[0]} {client.proxy_mode.full_spec}"
        self.address = human.format_address(client.peername)
        self.lesson: Lesson | None = None
        self._begun = False

    # Answering

    def answer(self, data: bytes) -> bytes:
        """Answer what can be answered of the bytes that came, and return the rest."""
        store = self._hits.store(self._table) if self._is_idle() and not self._is_full() else None
        if self.lesson is not None:
            self._finish_lesson(store)
        if store is None:
            return data
        served = self._hits.serve(self, data, store)
        if served.pieces:
            self._send(served)
        if served.closes:
            self._transport.close()
            return b""  # what follows is nobody's (RFC 9112, section 9.6)
        return served.rest

    def _send(self, served: Served) -> None:
        self._handler.timeout_watchdog.register_activity()
        self._active(self._client)
        if served.size <= ALONE:
            self._transport.write(b"".join(served.pieces))
        else:
            for piece in served.pieces:
                self._transport.write(piece)

    async def serve(self, data: bytes) -> bytes:
        """Answer what can be answered, at the client's pace, and return the rest, which is mitmproxy's."""
        while data:
            await asyncio.sleep(0)  # others go first
            await self._writer.drain()
            rest = self.answer(data)
            if len(rest) == len(data):
                self._leave(data)
                break
            data = rest
        return data

    def _leave(self, data: bytes) -> None:
        """Leave bytes to mitmproxy, and learn from what it does if they are one request."""
        if self._is_idle() and data.endswith(HEAD_END) and data.count(HEAD_END) == 1 and len(data) <= LONGEST_HEAD:
            self.lesson = Lesson(data)
            self._handler.transports[self._client].writer = Tee(self._writer, self.lesson)  # type: ignore[assignment]
        self._begun = True

    def _is_full(self) -> bool:
        return bool(self._transport.get_write_buffer_size() > FULL)

    def _is_idle(self) -> bool:
        """Return whether mitmproxy waits for a request on this connection: it has answered every one before."""
        server = self._server or self._look_for_server()
        if server is None:
            return not self._begun
        return (
            server.state == server.read_headers
            and not server.buf
            and not server._paused
            and not getattr(server, "_lingering", False)
        )

    def _look_for_server(self) -> Any:
        served = next((layer for layer in self._layers if isinstance(layer, HttpLayer)), None)
        server = served.connections.get(self._client) if served and not self._client.tls else None
        if isinstance(server, Http1Server):
            self._server = server
        return self._server

    # Learning

    def note(self, flow: http.HTTPFlow) -> None:
        """Take note of the cache's view of the request that is being learnt; a miss teaches nothing."""
        if self.lesson is None:
            return
        transaction = transaction_of(flow) if flow_state.state_of(flow).hit else None
        received = flow_state.state_of(flow).received
        lines = self.lesson.head.count(b"\r\n") - 2
        if transaction is None or received is None or len(received.raw) != lines:
            self._finish_lesson(None)
        else:
            self.lesson.request, self.lesson.story = transaction.request, story_of(flow)

    def finish(self) -> None:
        """Learn from the answer with which the connection closed."""
        if self.lesson is not None:
            self._finish_lesson(self._hits.store(self._table))

    def _finish_lesson(self, store: SyncView | None) -> None:
        lesson, self.lesson = self.lesson, None
        transport: Any = self._handler.transports.get(self._client)
        if transport is not None:
            transport.writer = self._writer
        if lesson is not None and store is not None:
            self._hits.learn(self, lesson, store)
