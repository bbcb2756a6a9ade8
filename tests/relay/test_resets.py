"""A connection that breaks is reset on the far side, too: what was cut off is never an end of file."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from tests.support.relay_links import Link, MakeLink
from tests.support.relay_peers import receive
from tests.support.sockets import reset

pytestmark = pytest.mark.timeout(60)


async def close(linked: Link) -> None:
    """Wait for the link's end, and close its connections as its owner does."""
    with contextlib.suppress(asyncio.CancelledError):
        await linked.running
    await linked.let_go()


def sides(linked: Link, breaks: str) -> tuple[socket.socket, socket.socket]:
    return (linked.client, linked.server) if breaks == "client" else (linked.server, linked.client)


@pytest.mark.parametrize("breaks", ["client", "server"])
@pytest.mark.parametrize("half_closed", [False, True], ids=["open", "half-closed"])
async def test_a_reset_in_mid_stream_is_one(make_link: MakeLink, breaks: str, half_closed: bool) -> None:
    linked = await make_link()
    broken, other = sides(linked, breaks)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(broken, b"half of it")
    assert await loop.sock_recv(other, 100) == b"half of it"
    if half_closed:
        other.shutdown(socket.SHUT_WR)
        assert await receive(broken) == b""
    reset(broken)
    _, got = await asyncio.gather(close(linked), _end_of(other))
    assert got == "reset"


@pytest.mark.parametrize("breaks", ["client", "server"])
async def test_a_reset_is_one_also_if_the_one_who_sends_there_learns_of_it(make_link: MakeLink, breaks: str) -> None:
    linked = await make_link()
    broken, other = sides(linked, breaks)
    pouring = asyncio.create_task(_pour(other))
    await asyncio.sleep(0.05)
    reset(broken)
    _, got = await asyncio.gather(close(linked), _end_of(other))
    assert "reset" in (got, await pouring)  # Linux reports a reset once, to the first call


async def test_a_link_that_is_cancelled_resets_both(make_link: MakeLink) -> None:
    linked = await make_link()
    await asyncio.get_running_loop().sock_sendall(linked.client, b"x")
    assert await asyncio.get_running_loop().sock_recv(linked.server, 100) == b"x"
    linked.running.cancel()
    await close(linked)
    assert [await _end_of(linked.client), await _end_of(linked.server)] == ["reset", "reset"]


async def _pour(sock: socket.socket) -> str:
    try:
        while True:
            await asyncio.get_running_loop().sock_sendall(sock, bytes(100_000))
    except ConnectionResetError:
        return "reset"
    except OSError:
        return "closed"


async def _end_of(sock: socket.socket) -> str:
    """Return how a stream ends."""
    try:
        await receive(sock)
    except ConnectionResetError:
        return "reset"
    return "end of file"
