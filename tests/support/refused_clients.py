"""Clients that are refused. If the reset arrives before `connect` has returned, `connect` raises it."""

from __future__ import annotations

import asyncio
import socket


def how_refused(port: int, timeout: float = 100) -> str:
    """Connect to a port of 127.0.0.1, send nothing, and return how the connection ends; any data is an error."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as client:
            assert client.recv(100) == b""
    except ConnectionResetError:
        return "reset"
    return "end of file"


async def refusal_of(address: tuple[str, int], timeout: float = 100) -> str:
    """Do the same in the event loop of the server that refuses."""
    writer = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(*address)
            assert await reader.read(100) == b""
    except ConnectionResetError:
        return "reset"
    finally:
        if writer is not None:
            writer.close()
    return "end of file"
