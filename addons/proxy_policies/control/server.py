"""Answers questions on a socket. No question, valid or not, raises an exception in the proxy."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable

from proxy_policies.control.messages import (
    MAX_QUESTION,
    ControlError,
    Question,
    read_question,
    write_error,
    write_result,
)

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 8  # simultaneous connections; further ones are closed
QUESTION_TIMEOUT = 30.0  # seconds to receive a question, and to answer it

Answer = Callable[[Question], Awaitable[object]]
"""Returns a JSON value. Raises ControlError."""


class ControlServer:
    """Answers from `start` to `close`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, listening: socket.socket) -> None:
        """Start answering on a listening socket, which `close` closes."""
        self._server = await asyncio.start_server(self._serve, sock=listening, limit=MAX_QUESTION)

    def close(self) -> None:
        """Stop listening, and close all connections."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, ValueError, TimeoutError):  # the client left, or sent no line
                async with asyncio.timeout(QUESTION_TIMEOUT):
                    writer.write(await self._reply(await reader.readline()))
                    await writer.drain()
        finally:
            self._open.discard(writer)
            writer.close()

    async def _reply(self, line: bytes) -> bytes:
        try:
            return write_result(await self._answer(read_question(line)))
        except ControlError as error:
            return write_error(str(error))
        except Exception as error:
            logger.debug("control: cannot answer", exc_info=True)
            return write_error(f"the proxy could not answer: {type(error).__name__}: {error}")
