"""A connection that carries frames: an asyncio transport on top, a protocol of the real transport below.

To the protocol above, it is a connection like any other, except that half-close works and that silence ends it. First
it is in message mode (`receive`, `send`), in which its purpose is agreed; once `set_protocol` is called, it is a byte
stream for that protocol.

Rules: data passed to the protocol is a view, valid during the call, and longer only if the protocol's peer queues it
(`read_buffer.py`); an end without EOF is a reset; a side sends EOF before closing. The real transport is closed only
after CLOSE_ACK: otherwise, a ping to a closed socket would make the kernel drop data on its way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from proxy_policies.byte_streams.socket_options import is_unacknowledged
from proxy_policies.log_lines import printable
from proxy_policies.outbound import tcp_connect
from proxy_policies.reverse_tunnel.protocol.frames import (
    MAX_LENGTH,
    Bytes,
    Frame,
    FrameError,
    FrameKind,
    Keepalive,
    KeepaliveAction,
    Parser,
    frame,
    frame_header,
)
from proxy_policies.reverse_tunnel.transport import read_buffer
from proxy_policies.reverse_tunnel.transport.transport_layer import TransportLayer

MESSAGE_BUFFER = 1 << 12  # bytes read at once in message mode: limits the memory for an unauthenticated peer
MAX_INBOX = 64  # frames waiting to be received
CHECKS_PER_INTERVAL = 4  # checks per heartbeat interval: they determine how late a loss is detected
MAX_REASON = 512  # bytes of a peer's reason for a reset
FLUSH_TIMEOUT = 3.0  # seconds to send the last frame of a closing connection
LATE_DATA_TIMEOUT = 1.0  # seconds after a close in which data may have been sent before the peer knew
LINGER_TIMEOUT = 60.0  # seconds for which the peer may continue a stream that was closed here: Linux's tcp_fin_timeout


class Framed(TransportLayer):
    """One framed connection; give it to `create_connection` or `connect_accepted_socket` as the protocol."""

    def __init__(self) -> None:
        super().__init__()
        self.reason = ""  # why it ended, if by an error
        self._on_lost: Callable[[Framed], object] = lambda framed: None
        self._loop = asyncio.get_running_loop()
        self._parser = Parser()
        self._inbox: deque[Frame] = deque()
        self._frame_arrived: asyncio.Future[None] | None = None
        self._protocol: Any = None
        self._received_eof = self._sent_eof = self._sent_close_ack = False
        self._closing = self._lost = self._is_clean = False
        self._closed_at = 0.0  # seconds of the loop's clock
        self._received = self._sent = False
        self._keepalive: Keepalive | None = None
        self._keepalive_timer: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None

    # Message mode

    def send(self, *frames: bytes) -> None:
        """Write whole frames."""
        if not self._is_over():
            self._sent = True
            self.lower.write(b"".join(frames))

    async def receive(self) -> Frame:
        """Return the next frame that is neither PING nor part of a stream. Raise ConnectionError at the end."""
        while not self._inbox:
            if self._lost or self._protocol is not None:
                raise ConnectionResetError(self.reason or "the connection ended")
            self._frame_arrived = self._loop.create_future()
            await self._frame_arrived
        received = self._inbox.popleft()
        if not self._is_inbox_full():
            self.resume_reading()
        return received

    def when_lost(self, callback: Callable[[Framed], object]) -> None:
        """Set the function that is called at the end of the connection; if it has ended, call it at once."""
        self._on_lost = callback
        if self._lost:
            callback(self)

    def start_keepalive(self, interval: float, timeout: float) -> None:
        """Ping after `interval` seconds without sending; close after `timeout` seconds without receiving."""
        now = self._loop.time()
        self._keepalive = Keepalive(interval, timeout, now, now, now)
        self._schedule_keepalive(interval)

    def _check_keepalive(self) -> None:
        if self._keepalive is None or self._lost:
            return
        received = self._received or not (self.lower.is_reading() or self._is_path_silent())
        sent = self._sent or self.lower.get_write_buffer_size() > 0
        self._received = self._sent = False
        match self._keepalive.check(self._loop.time(), received=received, sent=sent):
            case KeepaliveAction.LOST:
                self.reason = self.reason or f"silent for {self._keepalive.timeout:g} s"
                self.lower.abort()
                return
            case KeepaliveAction.PING if not self._sent_close_ack and not self.lower.is_closing():
                self.lower.write(frame(FrameKind.PING))
        self._schedule_keepalive(self._keepalive.interval)

    def _is_path_silent(self) -> bool:
        """Return whether the peer's system is silent, too; it answers while we do not read, or the peer does not."""
        return is_unacknowledged(self.lower.get_extra_info("socket"))

    def _schedule_keepalive(self, interval: float) -> None:
        self._keepalive_timer = self._loop.call_later(interval / CHECKS_PER_INTERVAL, self._check_keepalive)

    # Below: the protocol of the real transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the real transport."""
        self.lower = transport
        # asked for with every chunk, so without us in between
        self.get_write_buffer_size = self.lower.get_write_buffer_size  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the thread's buffer for one read."""
        return read_buffer.view() if self._protocol is not None else read_buffer.view()[:MESSAGE_BUFFER]

    def buffer_updated(self, nbytes: int) -> None:
        """Handle received bytes."""
        self._received = True
        try:
            for kind, payload in self._parser.feed(read_buffer.view()[:nbytes]):
                self._take(kind, payload)
        except FrameError as error:
            self.reset(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the protocol, or the caller of `receive`."""
        self._lost = True
        for timer in (self._keepalive_timer, self._deadline):
            if timer is not None:
                timer.cancel()
        self._is_clean = self._received_eof and self._sent_eof
        if not self._is_clean and not self.reason:
            self.reason = tcp_connect.reason(exc, None) if exc else "the connection was cut"
        self._wake()
        self._on_lost(self)
        if self._protocol is not None and not self._is_clean:
            self._protocol.connection_lost(ConnectionResetError(self.reason))
        elif self._protocol is not None and self._closing:
            self._protocol.connection_lost(None)

    def pause_writing(self) -> None:
        """Pass the back-pressure on."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass the end of back-pressure on."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    def _take(self, kind: int, payload: Bytes) -> None:
        if kind == FrameKind.PING or self._lost:
            return
        if self._protocol is None:
            self._enqueue(kind, bytes(payload))
        elif kind == FrameKind.DATA and self._closing:
            self._refuse_late_data()
        elif kind == FrameKind.DATA and not self._received_eof:
            self._protocol.data_received(payload)
        elif kind == FrameKind.EOF and not self._received_eof:
            self._end_in()
        elif kind == FrameKind.RST:
            reason = bytes(payload[:MAX_REASON]).decode(errors="replace")
            self.reason = printable(reason) or "broken off by the other side"
            self.lower.abort()
        elif kind == FrameKind.CLOSE_ACK and self._received_eof and self._sent_eof:
            self._close_soon()
        else:
            raise FrameError(f"frame of type {kind} is not allowed here")

    def _refuse_late_data(self) -> None:
        """Reset a stream that continues after we have closed, as TCP does: not every sender reads an end of file."""
        if self._loop.time() > self._closed_at + LATE_DATA_TIMEOUT:
            self.reset("closed while receiving")

    def _enqueue(self, kind: int, payload: bytes) -> None:
        """Queue a frame; once a stream has begun, stop reading until its protocol is set."""
        if kind == FrameKind.DATA and self._has_stream_begun():
            self._inbox[-1] = kind, bytes(self._inbox[-1][1]) + payload
        elif len(self._inbox) > 2 * MAX_INBOX:
            raise FrameError("too many frames waiting")
        else:
            self._inbox.append((kind, payload))
        if self._is_inbox_full():
            self.lower.pause_reading()
        self._wake()

    def _has_stream_begun(self) -> bool:
        return bool(self._inbox) and self._inbox[-1][0] == FrameKind.DATA

    def _is_inbox_full(self) -> bool:
        return len(self._inbox) >= MAX_INBOX or self._has_stream_begun()

    def _wake(self) -> None:
        if self._frame_arrived is not None and not self._frame_arrived.done():
            self._frame_arrived.set_result(None)

    def _end_in(self) -> None:
        self._received_eof = True
        keep = self._closing or self._protocol.eof_received()
        if not keep:
            self.close()
        self._maybe_close()

    def _maybe_close(self) -> None:
        """Send CLOSE_ACK when both directions have ended."""
        if self._received_eof and self._sent_eof and not self._sent_close_ack:
            self.send(frame(FrameKind.CLOSE_ACK))
            self._sent_close_ack = True

    # Above: the transport of a stream

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Become a byte stream, and pass queued data to the protocol."""
        first = self._protocol is None
        self._protocol = protocol
        if not first:
            return
        if self._lost:
            self._loop.call_soon(self._protocol.connection_lost, ConnectionResetError(self.reason))
            return
        self.resume_reading()  # the inbox may have stopped it; the protocol may stop it again
        try:
            while self._inbox:
                self._take(*self._inbox.popleft())
        except FrameError as error:
            self.reset(str(error))

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the stream's protocol."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def write(self, data: Bytes) -> None:
        """Write bytes of the stream."""
        if self._sent_eof or self.is_closing() or not data:
            return
        self._sent = True
        view = memoryview(data)
        for start in range(0, len(view), MAX_LENGTH):
            piece = view[start : start + MAX_LENGTH]
            self.lower.write(frame_header(FrameKind.DATA, len(piece)) + piece)

    def write_from_buffer(self, nbytes: int) -> None:
        """Write the first `nbytes` of the thread's read buffer, uncopied."""
        if not self._sent_eof and not self.is_closing():
            self._sent = True
            self.lower.write(read_buffer.with_header(frame_header(FrameKind.DATA, nbytes), nbytes))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Write several buffers."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return True: frames provide half-close."""
        return True

    def write_eof(self) -> None:
        """End the stream in our direction."""
        if self._sent_eof:
            return
        self.send(frame(FrameKind.EOF))
        self._sent_eof = True
        self._maybe_close()

    def close(self) -> None:
        """End the stream, and the connection once the peer has received everything; drop what it still sends.

        A stream that has ended in both directions is open until then, as a socket is: `StreamWriter.drain` fails once
        the protocol has lost its connection, even if the reader still has data.
        """
        if self.is_closing():
            self._let_go()
            return
        if self._protocol is None:
            self._close_soon()
            return
        self.write_eof()
        self.resume_reading()
        self._closing, self._closed_at = True, self._loop.time()
        if not self._received_eof:
            self._deadline = self._loop.call_later(LINGER_TIMEOUT, self.lower.abort)

    def abort(self) -> None:
        """Drop the connection at once."""
        self._let_go()
        super().abort()

    def _let_go(self) -> None:
        """Note that the owner has closed the connection, which may have ended already."""
        if self._is_clean and not self._closing:
            self._loop.call_soon(self._protocol.connection_lost, None)
        self._closing = True

    def reset(self, reason: str) -> None:
        """Reset the stream, sending the reason to the peer."""
        if self._is_over():
            return
        self.reason = self.reason or reason
        self.send(frame(FrameKind.RST, reason.encode()[:MAX_REASON]))
        self._closing = True
        self._close_soon()

    def _close_soon(self) -> None:
        self.lower.close()
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(FLUSH_TIMEOUT, self.lower.abort)

    def is_closing(self) -> bool:
        """Return whether it is closed or about to be."""
        return self._closing or self._is_over()

    def _is_over(self) -> bool:
        return self._lost or self.lower is None or bool(self.lower.is_closing())

    def is_reading(self) -> bool:
        """Return whether bytes are being received."""
        return not self._lost and bool(self.lower.is_reading())

    def pause_reading(self) -> None:
        """Stop receiving."""
        if not self.is_closing():
            self.lower.pause_reading()

    def resume_reading(self) -> None:
        """Receive again."""
        if not self.is_closing():
            self._received = True
            self.lower.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the addresses only: the socket and the TLS object below carry frames, not the stream."""
        return self.lower.get_extra_info(name, default) if name in ("peername", "sockname") else default


def open_streams(transport: asyncio.Transport) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return asyncio's stream pair for a framed connection, or for a layer on it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 18, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    protocol.connection_made(transport)
    transport.set_protocol(protocol)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
