"""Flow-control windows of QUIC streams (RFC 9000, section 4), reopened as the other side accepts their data.

aioquic doubles a stream's window whenever half of it is used, even if none of its data has been passed on: a peer that
has sent a gigabyte may send the next one at once. It also fails if a peer stops a stream (STOP_SENDING) that is reset,
or on which something is still sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aioquic.quic.connection import QuicConnection
from aioquic.quic.stream import QuicStream
from mitmproxy.connection import Connection
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.quic import _stream_layers

from proxy_policies.patch import Companion
from proxy_policies.patches.back_pressure import STREAM_WINDOW
from proxy_policies.patches.generators import in_place_of


class WindowedConnection(QuicConnection):
    """A connection whose streams' windows slide; `send_stream_data` and what begins with `_` override aioquic's."""

    holds_back: Callable[[int], bool] | None = None
    """Return whether the other side holds back too much of a stream's data."""

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        self._waiting: set[int] = set()

    def waiting_streams(self) -> set[int]:
        """Return the streams whose windows will be reopened once their data is accepted."""
        self._waiting &= self._streams.keys()
        return self._waiting

    def unsent_of(self, stream_id: int) -> int:
        """Count the bytes of a stream that wait for the peer's window, or for the network."""
        stream = self._streams.get(stream_id)
        return _unsent(stream) if stream else 0

    def unsent_by_stream(self) -> dict[int, int]:
        """Return the bytes that wait, by stream."""
        return {stream_id: unsent for stream_id, stream in self._streams.items() if (unsent := _unsent(stream))}

    def send_stream_data(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:
        """Send data, unless the peer has just refused it (STOP_SENDING), which the layers do not know yet."""
        if not _is_reset(self._get_or_create_stream_for_send(stream_id)):
            super().send_stream_data(stream_id, data, end_stream)

    def _handle_stop_sending_frame(self, context: Any, frame_type: int, buf: Any) -> None:
        """Reset a stream, unless it is reset already: the frame is repeated, or has crossed our reset."""
        begin = buf.tell()
        stream = self._streams.get(buf.pull_uint_var())
        if stream is not None and _is_reset(stream):
            buf.pull_uint_var()
            return
        buf.seek(begin)
        super()._handle_stop_sending_frame(context, frame_type, buf)

    def _write_stream_limits(self, builder: Any, space: Any, stream: QuicStream) -> None:
        """Reopen a stream's window once half of it is used, unless its data is held back."""
        stream_id, receiver, received = stream.stream_id or 0, stream.receiver, stream.receiver.highest_offset
        self._waiting.discard(stream_id)
        if stream.max_stream_data_local and received + STREAM_WINDOW // 2 > stream.max_stream_data_local:
            if self.holds_back is not None and self.holds_back(stream_id):
                self._waiting.add(stream_id)
            else:
                stream.max_stream_data_local = received + STREAM_WINDOW
        receiver.highest_offset = 0  # aioquic would double the window
        try:
            super()._write_stream_limits(builder, space, stream)
        finally:
            receiver.highest_offset = received


def _unsent(stream: QuicStream) -> int:
    return 0 if _is_reset(stream) else stream.sender._buffer_stop - stream.sender.highest_offset


def _is_reset(stream: QuicStream) -> bool:
    """Return whether nothing more can be sent: aioquic would fail to send, and to reset it again."""
    return stream.sender._reset_error_code is not None


def quic_connection(context: Context, connection: Connection) -> WindowedConnection | None:
    """Return the QUIC connection that carries a client's or an origin's connection."""
    layers = (it for it in context.layers if isinstance(it, _stream_layers.QuicLayer) and it.conn is connection)
    layer = next(layers, None)
    return layer.quic if layer is not None and isinstance(layer.quic, WindowedConnection) else None


COMPANION = Companion(
    owner=_stream_layers,
    attribute="QuicConnection",
    wrap=in_place_of(WindowedConnection),
    seen_on="12.2.1 to 12.3.1",
    why="an HTTP/3 peer's data fills the memory if the other side does not read it; "
    "a traceback, and a lost packet, if a peer stops a stream twice, or one that we reset or refuse",
    test="tests/e2e/limits/test_slow_streams_http3.py::test_an_unread_download",
    source_sha256={"12.2.1 to 12.3.1": "0e428605730a08649634c3fab37ece89bdfe0a64d0422f331ae07c1ed7e5a6ee"},
)
