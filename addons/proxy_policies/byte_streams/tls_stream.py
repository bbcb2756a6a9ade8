"""TLS over a connection whose handshake mitmproxy's layers have done, read and written without them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL

from proxy_policies.byte_streams.byte_stream import ByteStream, ignore

RECORD = 16384
"""The most bytes that one record holds (RFC 8446, section 5.1)."""


NOTHING_LIMIT = 65536
"""Bytes of records that say nothing, one after the other: a few keys are renewed so, and tickets come. Each new key is
answered, and a peer that does not read would have us keep all answers."""
_NO_END = OSError()


class Truncated(ConnectionError):
    """The peer closed without its closing alert: what came may not be all (RFC 8446, section 6.1)."""


class TlsStream(ByteStream):
    """What is said inside. `below` carries the records, and is ours alone from now on."""

    def __init__(self, below: ByteStream, tls: SSL.Connection, on_readable: Callable[[], None] = ignore) -> None:
        super().__init__(on_readable)
        self.below, self._tls = below, tls
        self._bytes_of_nothing = 0
        """Since something was said."""
        below.on_readable = self._came

    # Receiving

    def _read_on(self) -> None:
        if not self.is_at_end:
            self.below.start_reading()

    def stop_reading(self) -> None:
        """Leave in the kernel what comes."""
        self.below.stop_reading()

    def _came(self) -> None:
        """Decrypt what has come, and tell of what was inside, and then of the end."""
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
        """Take records; return the error with which the connection ended, None for a proper end, or _NO_END."""
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
        self._send_records()  # an answer to a new key, or to a closing alert
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
        """The bytes that the kernel has not taken yet, as records."""
        return self.below.unsent

    def write(self, *pieces: bytes) -> None:
        """Send, or keep what the kernel has no room for. A connection that has failed takes nothing more."""
        if self.below.is_closed or self.below.error is not None:
            return
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if data:
            try:
                self._tls.sendall(data)
            except SSL.Error:  # what cannot be sent must not be missing in the middle
                self.reset()
                return
            self._send_records()

    async def drain(self) -> None:
        """Wait while more than `high_water` bytes wait to be sent."""
        await self.below.drain()

    # Ending

    def _send_closing_alert(self) -> None:
        """Say that nothing more comes (RFC 8446, section 6.1)."""
        if not self.below.is_closed and self.below.error is None:
            try:
                self._tls.shutdown()
            except SSL.Error:  # broken off
                return
            self._send_records()

    def end_sending(self) -> None:
        """Send the end of our half, once everything is sent; what the peer still says can be read."""
        self._send_closing_alert()
        self.below.end_sending()

    def close(self, *, says_end: bool = True) -> None:
        """Close the connection, once everything is sent; without a closing alert in the middle of a message."""
        if says_end:
            self._send_closing_alert()
        self.is_at_end = True
        self.below.close()

    def reset(self) -> None:
        """Break the connection off at once: what its peer has of a message is no whole one."""
        self.is_at_end = True
        self.below.reset()

    def fail_silently(self) -> None:
        """Close at once, whatever is still to be sent."""
        self.is_at_end = True
        self.below.fail_silently()

    # What is below

    @property
    def sock(self) -> Any:
        """The socket under it."""
        return self.below.sock

    @property
    def is_closed(self) -> bool:
        """Return whether it was closed here."""
        return self.below.is_closed

    @property
    def high_water(self) -> int:
        """Bytes waiting to be sent beyond which a writer waits."""
        return self.below.high_water

    @high_water.setter
    def high_water(self, size: int) -> None:
        self.below.high_water = size

    @property
    def on_sent(self) -> Callable[[], None]:
        """Called when all that waited to be sent has been."""
        return self.below.on_sent

    @on_sent.setter
    def on_sent(self, callback: Callable[[], None]) -> None:
        self.below.on_sent = callback
