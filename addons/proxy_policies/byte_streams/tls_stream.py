"""TLS on a connection whose handshake mitmproxy's layers have completed, read and written without them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL

from proxy_policies.byte_streams.byte_stream import ByteStream, ignore

RECORD = 16384
"""The most bytes that one record holds (RFC 8446, section 5.1)."""


NOTHING_LIMIT = 65536
"""Bytes of consecutive records without application data. Key updates and tickets are some; but each key update is
answered, and for a peer that does not read we would have to keep all answers."""
_NO_END = OSError()


class Truncated(ConnectionError):
    """The peer closed without a closing alert: its data may be incomplete (RFC 8446, section 6.1)."""


class TlsStream(ByteStream):
    """The data inside TLS. `below` carries the records, and is used by this stream alone from now on."""

    def __init__(self, below: ByteStream, tls: SSL.Connection, on_readable: Callable[[], None] = ignore) -> None:
        super().__init__(on_readable)
        self.below, self._tls = below, tls
        self._bytes_of_nothing = 0
        """Since the last application data."""
        below.on_readable = self._came

    # Receiving

    def _read_on(self) -> None:
        if not self.is_at_end:
            self.below.start_reading()

    def stop_reading(self) -> None:
        """Leave incoming data in the kernel."""
        self.below.stop_reading()

    def _came(self) -> None:
        """Decrypt received records, and notify of their data, then of the end."""
        if self.is_at_end:
            self.below.received.clear()
            return
        before, records = self.total_received, len(self.below.received)
        end: OSError | None = _NO_END
        if self.below.received:
            end = self._decrypt(self.below.take())
        if end is _NO_END and self.below.is_at_end:
            end = self.below.error or Truncated("closed without TLS's closing alert")
        if self.total_received > before:
            self._bytes_of_nothing = 0
            self.notify()
        else:
            self._bytes_of_nothing += records
            if self._bytes_of_nothing > NOTHING_LIMIT:
                self.below.fail_silently()
                end = ConnectionError("TLS: records without an end that say nothing")
        if end is not _NO_END:
            self.is_at_end, self.error = True, end
            self.notify()

    def _decrypt(self, records: bytes) -> OSError | None:
        """Decrypt records; return the error with which the connection ended, None for a proper end, or _NO_END."""
        self._tls.bio_write(records)
        pieces: list[bytes] = []
        end: OSError | None = _NO_END
        try:
            while True:
                pieces.append(self._tls.recv(RECORD))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            end = None
        except SSL.Error as error:
            end = ConnectionError(f"TLS: {error}")
        if pieces:
            self.feed(b"".join(pieces))
        self._send_records()  # the answer to a key update or a closing alert
        return end

    # Sending

    def _send_records(self) -> None:
        pieces: list[bytes] = []
        with contextlib.suppress(SSL.Error):  # nothing more
            while not pieces or len(pieces[-1]) == 2 * RECORD:
                pieces.append(self._tls.bio_read(2 * RECORD))
        if pieces:
            self.below.write(*pieces if len(pieces) == 1 else (b"".join(pieces),))

    @property
    def unsent(self) -> int:
        """The bytes of records that the kernel has not accepted yet."""
        return self.below.unsent

    def write(self, *pieces: bytes) -> None:
        """Send, or keep what the kernel has no room for. Does nothing on a failed connection."""
        if self.below.is_closed or self.below.error is not None:
            return
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if data:
            try:
                self._tls.sendall(data)
            except SSL.Error:  # later data must not be sent without this
                self.reset()
                return
            self._send_records()

    async def drain(self) -> None:
        """Wait while more than `high_water` bytes are unsent."""
        await self.below.drain()

    # Ending

    def _send_closing_alert(self) -> None:
        """Announce that no more data follows (RFC 8446, section 6.1)."""
        if not self.below.is_closed and self.below.error is None:
            try:
                self._tls.shutdown()
            except SSL.Error:  # the connection has failed
                return
            self._send_records()

    def end_sending(self) -> None:
        """End our half once everything is sent; the peer's data can still be read."""
        self._send_closing_alert()
        self.below.end_sending()

    def close(self, *, says_end: bool = True) -> None:
        """Close the connection once everything is sent; without a closing alert in the middle of a message."""
        if says_end:
            self._send_closing_alert()
        self.is_at_end = True
        self.below.close()

    def reset(self) -> None:
        """Reset the connection at once: the peer must not take an incomplete message as complete."""
        self.is_at_end = True
        self.below.reset()

    def fail_silently(self) -> None:
        """Close at once, discarding unsent bytes."""
        self.is_at_end = True
        self.below.fail_silently()

    # The stream below

    @property
    def sock(self) -> Any:
        """The underlying socket."""
        return self.below.sock

    @property
    def is_closed(self) -> bool:
        """Return whether it was closed on our side."""
        return self.below.is_closed

    @property
    def high_water(self) -> int:
        """Unsent bytes beyond which a writer waits."""
        return self.below.high_water

    @high_water.setter
    def high_water(self, size: int) -> None:
        self.below.high_water = size

    @property
    def on_sent(self) -> Callable[[], None]:
        """Called once all unsent bytes have been sent."""
        return self.below.on_sent

    @on_sent.setter
    def on_sent(self, callback: Callable[[], None]) -> None:
        self.below.on_sent = callback
