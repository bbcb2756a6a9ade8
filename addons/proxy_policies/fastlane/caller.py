"""A client that has come in and that mitmproxy knows nothing of yet. Tried on mitmproxy 12.2."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy.mode_specs import ProxyMode

logger = logging.getLogger("mitmproxy.proxy.server")
"""Its lines look as mitmproxy's own, with the client in front."""

Receive = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
"""mitmproxy's own way to take a connection in."""

ANNOUNCEMENT = "client connect"
_is_announced: ContextVar[bool] = ContextVar("_is_announced", default=False)
"""Whether the client of the task at work has been announced before mitmproxy does."""


@dataclass(slots=True, eq=False)
class Caller:
    """A client, by its bare, non-blocking socket."""

    sock: socket.socket
    peername: tuple[Any, ...]
    mode: ProxyMode
    receive: Receive
    since: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    is_announced: bool = False
    preamble: bytes = b""
    """What a load balancer has said of it before it said anything itself, and has to say to mitmproxy, too."""

    def client(self) -> Client:
        """Make what mitmproxy's hooks are shown of it."""
        return Client(
            peername=self.peername,
            sockname=self.sock.getsockname(),
            timestamp_start=self.since,
            proxy_mode=self.mode,
            state=ConnectionState.OPEN,
        )

    def log(self, line: str) -> None:
        """Log a line about it."""
        logger.info(line, extra={"client": self.peername})

    def announce(self) -> None:
        """Log that it is here, once, as mitmproxy does of each client."""
        if not self.is_announced:
            self.is_announced = True
            self.log(ANNOUNCEMENT)

    def refuse(self) -> None:
        """Close a connection that an addon wants closed (block_global does), in mitmproxy's words."""
        self.announce()
        self.log("client kill connection")
        self.leave()

    def close(self, answer: bytes) -> None:
        """Say one last thing, as far as there is room for it, and close the connection."""
        with contextlib.suppress(OSError):
            self.sock.send(answer)
        self.leave()

    def leave(self) -> None:
        """Close the connection, in mitmproxy's words."""
        self.sock.close()
        self.announce()
        self.log("client disconnect")

    def pass_on(self) -> Receive:
        """Give mitmproxy's way to take it in, which does not announce it again."""
        return self._receive_quietly if self.is_announced else self.receive

    async def _receive_quietly(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _is_announced.set(True)
        await self.receive(reader, writer)


def announce_once() -> Callable[[], None]:
    """Have nobody announced twice; gives the function that undoes it."""
    logger.addFilter(_is_news)
    return lambda: logger.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    if record.msg != ANNOUNCEMENT or not _is_announced.get():
        return True
    _is_announced.set(False)
    return False
