"""A connection of mitmproxy's, read and written on its socket for a while."""

from __future__ import annotations

from OpenSSL import SSL

from proxy_policies.byte_streams.byte_stream import ByteStream
from proxy_policies.byte_streams.socket_stream import SocketStream
from proxy_policies.byte_streams.tls_stream import TlsStream
from proxy_policies.connection.tunnel_takeover import TakeoverReader


class BorrowedSocket:
    """One connection, and `tls`, what mitmproxy's layers made for it.

    mitmproxy reads it before and after, and closes it.
    """

    def __init__(self, watched: TakeoverReader, tls: SSL.Connection | None) -> None:
        self._watched, self._tls = watched, tls
        self._below: SocketStream
        self.stream: ByteStream

    async def flush(self) -> None:
        """Wait until everything is sent that mitmproxy has to send; OSError when that cannot be, any more."""
        end = self._watched.end
        if end.transport.get_write_buffer_size():
            await end.flush()
            end.transport.set_write_buffer_limits()

    def begin(self, said: bytes = b"") -> ByteStream:
        """Take the connection, of which the layers have read what was `said`; OSError when that cannot be, any more."""
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
        """Let mitmproxy read on: nothing of ours waits to be sent."""
        self._below.detach().close()
        self._watched.give_back()
