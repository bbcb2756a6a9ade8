"""A connection of mitmproxy's that is temporarily read and written directly on its socket."""

from __future__ import annotations

from OpenSSL import SSL

from proxy_policies.byte_streams.byte_stream import ByteStream, SocketStream
from proxy_policies.byte_streams.tls_stream import TlsStream
from proxy_policies.connection.tunnel_takeover import TakeoverReader


class BorrowedSocket:
    """One connection, and `tls`, the TLS state that mitmproxy's layers created for it.

    mitmproxy reads it before and afterwards, and closes it.
    """

    def __init__(self, watched: TakeoverReader, tls: SSL.Connection | None) -> None:
        self._watched, self._tls = watched, tls
        self._below: SocketStream
        self.stream: ByteStream

    async def flush(self) -> None:
        """Wait until mitmproxy's pending data is sent; raises OSError if the connection has failed."""
        end = self._watched.end
        if end.transport.get_write_buffer_size():
            await end.flush()
            end.transport.set_write_buffer_limits()

    def begin(self, said: bytes = b"") -> ByteStream:
        """Borrow the connection, from which the layers have read `said`; raises OSError if it has failed."""
        self._below = below = SocketStream(self._watched.end.dup_socket())
        self.stream = below if self._tls is None else TlsStream(below, self._tls)
        self.stream.feed(said)
        self._feed(self._watched.borrow(self._feed))
        return self.stream

    def _feed(self, data: bytes) -> None:
        if data:
            self._below.feed(data)
            self._below.notify()

    def give_back(self) -> None:
        """Let mitmproxy read on; nothing of ours may be waiting to be sent."""
        self._below.detach().close()
        self._watched.give_back()
