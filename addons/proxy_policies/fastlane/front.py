"""Sees a client's bytes before the stream does that mitmproxy reads: what is answered here wakes no task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from proxy_policies.fastlane.handover import Watched

_BUFFER = memoryview(bytearray(65536))
"""What any connection has received last: one will do, for it is read at once."""


class Front(asyncio.BufferedProtocol):
    """Stands before a connection's own protocol; `answer` deals with some of the bytes and returns the rest.

    Only while mitmproxy waits for bytes and has been given all there were, so that none overtakes another.
    """

    def __init__(self, behind: Any, watched: Watched, answer: Callable[[bytes], bytes]) -> None:
        self._behind, self._watched, self._answer = behind, watched, answer

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give room for what comes."""
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Answer, or pass on."""
        data = bytes(_BUFFER[:nbytes])
        if self._watched.is_parked:
            data = self._answer(data)
        if data:
            self._watched.is_parked = False
            self._behind.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        kept_open: bool | None = self._behind.eof_received()
        return kept_open

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._behind.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._behind.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._behind.resume_writing()


def stand(watched: Watched, answer: Callable[[bytes], bytes]) -> None:
    """Put a front before a connection."""
    transport: Any = watched.end.writer.transport
    transport.set_protocol(Front(transport.get_protocol(), watched, answer))
