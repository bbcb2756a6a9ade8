"""Whether the client of an exchange is still connected, and waiting for peers in the meantime."""

from __future__ import annotations

import asyncio
from typing import Any

from mitmproxy import http

from proxy_policies import trace
from proxy_policies.exchange.response_writer import ResponseWriter
from proxy_policies.finished.reporting import CLIENT_LEFT
from proxy_policies.flows import flow_state
from proxy_policies.streaming.decision import is_endless

HALF_CLOSED = 60.0
"""Seconds without a response byte after which a half-closed client counts as gone: nginx's proxy_read_timeout."""


class ClientLeft(Exception):
    """The client has left, or took too long; the text says which."""


class ClientPresence:
    """The client of one exchange, which may leave at any moment; its connection reports that."""

    def __init__(self, flow: http.HTTPFlow, writer: ResponseWriter) -> None:
        self._flow, self._writer = flow, writer
        self.why_left = ""
        self.is_response_wanted = True
        """False while the exchange continues only for others that want the response."""
        self.steps = 0
        """Number of waits that have ended."""
        self._waiting: asyncio.Future[Any] | None = None
        self._sent_at_last_look = 0
        self._next_look: asyncio.TimerHandle | None = None

    @property
    def is_waiting_for_peer(self) -> bool:
        """Return whether the exchange waits for a peer, and not for an addon."""
        return self._waiting is not None

    def check(self) -> None:
        """Raise ClientLeft if the client has left, and no others want the response."""
        if self.why_left and not self._is_wanted_by_others():
            raise ClientLeft(self.why_left)

    async def wait(self, waiting: asyncio.Future[Any]) -> Any:
        """Wait for a future; if the client leaves, cancel it and raise ClientLeft."""
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
        """Note that the client has left, or has taken too long."""
        if not self.why_left:
            self.why_left = why
            if self._waiting is not None and not self._is_wanted_by_others():
                self._waiting.cancel()

    def ended(self) -> None:
        """Note that the client has ended its half; it may still want the response (RFC 9112, section 9.6).

        If it was receiving an endless stream, it has left: browsers and curl just close.
        """
        response = self._flow.response
        if response is not None and self._writer.is_begun and is_endless(response):
            self.left()
        else:
            self._sent_at_last_look = self._writer.bytes_sent
            self._look_later()

    def _look_later(self) -> None:
        self._next_look = asyncio.get_running_loop().call_later(HALF_CLOSED, self._look)

    def _look(self) -> None:
        """Abandon a half-closed client that was sent nothing since the last check."""
        if self._writer.bytes_sent == self._sent_at_last_look:
            self.left()
        else:
            self._sent_at_last_look = self._writer.bytes_sent
            self._look_later()

    def close(self) -> None:
        """Stop watching a half-closed client: the timer would keep the flow alive."""
        if self._next_look is not None:
            self._next_look.cancel()
