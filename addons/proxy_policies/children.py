"""The processes that a supervisor keeps: what they say, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

PATIENCE = 6.0  # seconds that a process has to end when it is asked to


async def lines(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    """Give what a process says, line by line, until it says no more."""
    while process.stdout and (line := await _line(process.stdout)):
        yield line


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the reader's limit, and dropped by it
        return b"(a line too long to print)\n"


async def end(process: asyncio.subprocess.Process) -> None:
    """Ask a process to end; if it does not within PATIENCE, it is killed."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), PATIENCE)
    except TimeoutError:
        process.kill()
