"""Disconnects HTTP/2 peers that cause work without requesting anything (ENHANCE_YOUR_CALM).

mitmproxy accepts resets without limit (CVE-2023-44487, and CVE-2025-8671 where we are made to reset), and frames that
carry nothing; and it handles everything it has read in one turn of the event loop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

import h2.errors
import h2.events
import h2.stream
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestHeaders
from mitmproxy.proxy.layers.http._http2 import Http2Connection, Http2Server
from mitmproxy.utils import human

from proxy_policies.log_lines import Throttle
from proxy_policies.patches import back_pressure, client_sides, closing_alerts
from proxy_policies.patches.http2.frames import PER_PORTION, PREFACE, FrameBudget, FrameReader
from proxy_policies.patches.http2.stream_errors import PerStreamConnection
from proxy_policies.patches.lingering import Lingering
from proxy_policies.patches.sides import MultiplexedSide
from proxy_policies.patches.turns import take_turn
from proxy_policies.waits import NOT_WAITING, Wait, Waiting

_throttle = Throttle()


class Limited(MultiplexedSide, Lingering, Http2Connection):
    """A side of the proxy that speaks HTTP/2 with a peer whose frames are counted."""

    h2_conn: PerStreamConnection

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._received = FrameReader(PREFACE if isinstance(self, Http2Server) else 0)
        self._budget = FrameBudget()
        self._excess = ""
        self._bytes = 0
        self._requests = 0
        self._untimed: set[int] = set()
        """Streams whose bodies may take any time: those of gRPC."""

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        if self._lingering:
            yield from self.handle_while_lingering(event)
        elif why := client_sides.why_timed_out(event):
            yield from self.close(why, f"closing connection: {why}", h2.errors.ErrorCodes.NO_ERROR)
        elif isinstance(event, events.Wakeup) and isinstance(event.command, back_pressure.Acknowledge):
            self.h2_conn.acknowledge_accepted()
            yield commands.SendData(self.conn, self.h2_conn.data_to_send())
        elif isinstance(event, events.DataReceived):
            self._bytes += len(event.data)
            yield from self._receive(event)
        elif isinstance(event, events.ConnectionClosed) and closing_alerts.is_closed_idle(self.conn):
            self.h2_conn.close_connection()  # GOAWAY (section 6.8)
            yield commands.SendData(self.conn, self.h2_conn.data_to_send())
            yield from super()._handle_event(event)
        else:
            yield from self._counting(super()._handle_event(event))

    def _receive(self, event: events.DataReceived) -> CommandGenerator[None]:
        at = 0
        for end, excess in self._portions(event.data):
            if excess:
                yield from self._close_for(excess)
                return
            if at:
                yield from take_turn(self.context.client)
            portion = events.DataReceived(event.connection, event.data[at:end])
            yield from self._counting(super()._handle_event(portion))
            if self._excess:
                yield from self._close_for(self._excess)
            if self._has_ended:
                return
            at = end

    @property
    def _has_ended(self) -> bool:
        return self._lingering or "_handle_event" in vars(self)

    def _portions(self, data: bytes) -> list[tuple[int, str]]:
        """Return the offset after every PER_PORTION frames, with "" or, for the last, the limit that was exceeded."""
        now = time.monotonic()
        portions: list[tuple[int, str]] = []
        for number, frame in enumerate(self._received.read(data)):
            if excess := self._budget.spend(frame, now):
                return [*portions, (0, excess)]
            if number and number % PER_PORTION == 0:
                portions.append((frame.head_end, ""))
        if not portions or portions[-1][0] < len(data):
            portions.append((len(data), ""))
        return portions

    def _counting(self, sending: CommandGenerator[None]) -> CommandGenerator[None]:
        """Account for data sent: the peer may respond to it with frames that carry nothing."""
        for command in sending:
            if isinstance(command, commands.SendData) and command.connection is self.conn:
                self._budget.earn(len(command.data))
            elif isinstance(command, ReceiveHttp) and isinstance(command.event, RequestHeaders):
                self._note_request(command.event)
            yield command

    def _note_request(self, event: RequestHeaders) -> None:
        self._requests += 1
        self._forget_closed()
        self._untimed &= self.streams.keys()
        if "grpc" in event.request.headers.get("content-type", ""):
            self._untimed.add(event.stream_id)

    def _forget_closed(self) -> None:
        """Forget streams ended in both directions; mitmproxy keeps those whose response ends after the request."""
        known = self.h2_conn.streams
        for stream_id in [it for it in self.streams if it not in known or known[it].closed]:
            del self.streams[stream_id]

    def waiting(self) -> Waiting:
        """Return what the side waits for: a body whose request is unanswered, the rest of a frame, or a request."""
        if self._has_ended or self._paused:
            return NOT_WAITING
        self._forget_closed()
        if unfinished := [stream for stream in self.streams.keys() - self._untimed if self._awaits_body(stream)]:
            return Waiting(Wait.BODY, min(unfinished), self._bytes)
        if self._received.awaits_more:
            return Waiting(Wait.HEAD, self._requests)
        return NOT_WAITING if self.streams else Waiting(Wait.REQUEST, self._requests)

    def _awaits_body(self, stream_id: int) -> bool:
        stream = self.h2_conn.streams.get(stream_id)
        machine = stream.state_machine if stream else None
        return machine is not None and machine.state is h2.stream.StreamState.OPEN and not machine.headers_sent

    def unsent_by_stream(self) -> dict[int, int]:
        """Return the bytes that wait for the peer's windows, by stream."""
        return {stream_id: self.unsent_of(stream_id) for stream_id in self.h2_conn.stream_buffers}

    def unsent_of(self, stream_id: int) -> int:
        """Count those of one stream."""
        parts = self.h2_conn.stream_buffers.get(stream_id)
        return sum(len(part.data) for part in parts) if parts else 0

    def waiting_streams(self) -> Collection[int]:
        """Return the streams whose windows are to be reopened once their data is accepted."""
        return self.h2_conn.unacknowledged

    def handle_h2_event(self, event: h2.events.Event) -> CommandGenerator[bool]:
        """Count the streams that a peer makes us reset; ignore unknown frames with only a debug line (section 4.1)."""
        if isinstance(event, h2.events.StreamReset) and not event.remote_reset:
            self._excess = self._excess or self._budget.reset(time.monotonic())
        if isinstance(event, h2.events.UnknownFrameReceived):
            yield commands.Log(f"ignored an HTTP/2 frame of type {event.frame.type}", logging.DEBUG)
            return False
        return (yield from super().handle_h2_event(event))

    def _close_for(self, excess: str) -> CommandGenerator[None]:
        line = _throttle.admit(f"closing connection: {excess} (HTTP/2)", time.monotonic())
        yield from self.close(f"HTTP/2: {excess}", line, h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)

    def close(self, message: str, line: str | None, code: int) -> CommandGenerator[None]:
        """Close the connection, but keep reading for a while so that the peer can read why."""
        if line:
            yield commands.Log(f"{human.format_address(self.conn.peername)}: {line}")
        self.h2_conn.close_connection(code, message.encode())
        self.h2_conn.unacknowledged.clear()
        yield commands.SendData(self.conn, self.h2_conn.data_to_send())
        yield from self.linger()
        outside = getattr(self, "their_stream_id", {})
        for stream_id in list(self.streams):
            error = self.ReceiveProtocolError
            yield ReceiveHttp(error(outside.get(stream_id, stream_id), message, error.code))
        self.streams.clear()
