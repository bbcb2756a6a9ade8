"""Whether the client of an exchange is still there, and what is waited for in the meantime."""

from __future__ import annotations

import asyncio
from typing import Any

from mitmproxy import http

from proxy_policies import flow_state, trace
from proxy_policies.exchange.response_writer import ResponseWriter
from proxy_policies.streaming import is_endless

HALF_CLOSED = 60.0
"""Seconds without a byte of the answer after which a half-closed client counts as gone: nginx's proxy_read_timeout."""
CLIENT_LEFT = "Client disconnected."
"""mitmproxy's words."""


class ClientLeft(Exception):
    """The client has gone, or took too long; the text says which."""


class ClientPresence:
    """The client of one exchange, which may leave at any moment; its connection says so."""

    def __init__(self, flow: http.HTTPFlow, writer: ResponseWriter) -> None:
        self._flow, self._writer = flow, writer
        self.why_left = ""
        self.is_response_wanted = True
        """The client takes the response; False while the exchange goes on for others only."""
        self.steps = 0
        """How often something came that was waited for."""
        self._waiting: asyncio.Future[Any] | None = None
        self._sent_at_last_look = 0

    @property
    def is_waiting_for_peer(self) -> bool:
        """Return whether the exchange waits for a peer, not for an addon."""
        return self._waiting is not None

    def check(self) -> None:
        """Raise ClientLeft if the client has left, and nobody else wants the response."""
        if self.why_left and not self._is_wanted_by_others():
            raise ClientLeft(self.why_left)

    async def wait(self, waiting: asyncio.Future[Any]) -> Any:
        """Wait for a future, unless the client leaves: then it is cancelled, and ClientLeft is raised."""
        try:
            self.check()
        except ClientLeft:
            waiting.cancel()
            raise
        self._waiting = waiting
        try:
            return await waiting
        except asyncio.CancelledError:
            if self.why_left and waiting.cancelled():
                raise ClientLeft(self.why_left) from None
            raise
        finally:
            self._waiting = None
            self.steps += 1

    def _is_wanted_by_others(self) -> bool:
        wanted = flow_state.state_of(self._flow).wanted
        goes_on = wanted is not None and self._writer.is_request_read and wanted()
        if goes_on and self.is_response_wanted:
            self.is_response_wanted = False
            trace.note(self._flow, "cache", "goes on", "the client left, and others wait for the response")
        return goes_on

    def left(self, why: str = CLIENT_LEFT) -> None:
        """Take note that the client has gone, or has taken too long."""
        if not self.why_left:
            self.why_left = why
            if self._waiting is not None and not self._is_wanted_by_others():
                self._waiting.cancel()

    def ended(self) -> None:
        """Take note that the client will say no more; it may still want the response (RFC 9112, section 9.6).

        One that watched an endless stream has left: browsers and curl just close.
        """
        response = self._flow.response
        if response is not None and self._writer.is_begun and is_endless(response):
            self.left()
        else:
            self._sent_at_last_look = -1
            self._look_later()

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(HALF_CLOSED, self._look)

    def _look(self) -> None:
        """Give a half-closed client up that was sent nothing since the last look."""
        if not self._flow.live:
            return
        if self._writer.bytes_sent == self._sent_at_last_look:
            self.left()
        else:
            self._sent_at_last_look = self._writer.bytes_sent
            self._look_later()
