"""A stream with a limited rate, for the streams of this process, which are not relayed."""

from __future__ import annotations

import asyncio
from typing import Any

from proxy_policies.reverse_tunnel.protocol.frames import Bytes
from proxy_policies.reverse_tunnel.transport.transport_layer import TransportLayer
from proxy_policies.reverse_tunnel.transport.transport_relay import Pace


class RateLimitedTransport(TransportLayer):
    """A layer between a framed connection and its protocol, which pauses reading and writing as `pace` returns."""

    def __init__(self, lower: asyncio.Transport, pace: Pace) -> None:
        super().__init__()
        self.lower = lower
        self._pace = pace
        self._protocol: Any = None
        self._is_paused = False  # by the protocol
        self._rests = 0  # number of our reasons not to read
        self._full = 0  # number of reasons not to write

    # Below: the protocol of the framed connection

    def data_received(self, data: Bytes) -> None:
        """Pass received data on, and pause reading."""
        self._protocol.data_received(data)
        if (rest := self._pace(len(data))) > 0:
            self._rests += 1
            self.lower.pause_reading()
            asyncio.get_running_loop().call_later(rest, self._end_rest)

    def _end_rest(self) -> None:
        self._rests -= 1
        self._read_on()

    def _read_on(self) -> None:
        if not self._rests and not self._is_paused:
            self.lower.resume_reading()

    def eof_received(self) -> bool:
        """Pass the end of file on."""
        return bool(self._protocol.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end of the connection on."""
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Add a reason for the protocol not to write."""
        self._full += 1
        if self._full == 1:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Remove a reason; without any, the protocol may write."""
        self._full -= 1
        if not self._full:
            self._protocol.resume_writing()

    # Above: the transport of the protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Set the stream's protocol."""
        self._protocol = protocol
        self.lower.set_protocol(self)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the stream's protocol."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def write(self, data: Bytes) -> None:
        """Write data, and pause writing."""
        self.lower.write(data)
        if (rest := self._pace(len(data))) > 0:
            self.pause_writing()
            asyncio.get_running_loop().call_later(rest, self.resume_writing)

    def can_write_eof(self) -> bool:
        """Return whether the connection below can."""
        return bool(self.lower.can_write_eof())

    def write_eof(self) -> None:
        """End the stream in our direction."""
        self.lower.write_eof()

    def close(self) -> None:
        """Close the connection below."""
        self.lower.close()

    def is_closing(self) -> bool:
        """Return whether it is closed or about to be."""
        return bool(self.lower.is_closing())

    def is_reading(self) -> bool:
        """Return whether bytes are being received."""
        return bool(self.lower.is_reading())

    def pause_reading(self) -> None:
        """Stop receiving."""
        self._is_paused = True
        self.lower.pause_reading()

    def resume_reading(self) -> None:
        """Receive again, after the pause."""
        self._is_paused = False
        self._read_on()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return information about the connection below."""
        return self.lower.get_extra_info(name, default)
