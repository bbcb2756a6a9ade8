"""Resets stay resets through the whole tunnel, and half-closes half-closes, however the tunnel is secured."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.home_and_works_in_process import Tunnel, connect
from tests.support.refused_clients import refusal_of
from tests.support.sockets import reset_when_closed
from tests.support.waiting import eventually

from proxy_policies.reverse_tunnel.identity import Credentials
from proxy_policies.reverse_tunnel.limits import SessionLimits

pytestmark = pytest.mark.timeout(60)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def break_off(writer: asyncio.StreamWriter) -> None:
    """Close a connection by a reset."""
    reset_when_closed(writer.get_extra_info("socket"))
    writer.transport.abort()


async def end_of(reader: asyncio.StreamReader) -> str:
    """Return how a stream ends."""
    async with asyncio.timeout(100):
        try:
            await reader.read()
        except ConnectionResetError:
            return "reset"
        return "end of file"


class Session:
    """A client and the service's side of its connection; each has said something."""

    def __init__(self, tunnel: Tunnel) -> None:
        self.tunnel = tunnel
        self.client: Streams
        self.service: Streams

    async def open(self, credentials: tuple[Credentials, Credentials], rate: int = 0) -> None:
        came: asyncio.Future[Streams] = asyncio.get_running_loop().create_future()
        over = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.set_result((reader, writer))
            await over.wait()

        await self.tunnel.start_home(credentials=credentials[0], limits=SessionLimits(rate=rate))
        client_listener = await self.tunnel.client_listener("it")
        self.work = await self.tunnel.start_work(
            services={"it": await self.tunnel.serve(serve)}, credentials=credentials[1]
        )
        self.client = await connect(client_listener)
        self.service = await came
        for (_, writer), (reader, _) in ((self.client, self.service), (self.service, self.client)):
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"


@pytest.fixture
async def session(tunnel: Tunnel, credentials: tuple[Credentials, Credentials]) -> Session:
    opened = Session(tunnel)
    await opened.open(credentials)
    return opened


@pytest.mark.parametrize("breaks", ["client", "service"])
@pytest.mark.parametrize("moment", ["idle", "after a half-close", "while bytes flow to it"])
async def test_a_reset(session: Session, breaks: str, moment: str) -> None:
    broken, other = (session.client, session.service)[:: 1 if breaks == "client" else -1]
    if moment == "after a half-close":
        other[1].write_eof()
        assert await end_of(broken[0]) == "end of file"
    elif moment == "while bytes flow to it":
        other[1].write(bytes(30_000_000))
        await broken[0].readexactly(1000)
    break_off(broken[1])
    assert await end_of(other[0]) == "reset"
    await eventually(lambda: not list(session.tunnel.home.sessions))


@pytest.mark.parametrize("first", ["client", "service"])
async def test_a_half_close(session: Session, first: str) -> None:
    one, other = (session.client, session.service)[:: 1 if first == "client" else -1]
    one[1].write_eof()
    assert await end_of(other[0]) == "end of file"
    other[1].write(b"answer" * 100_000)
    other[1].write_eof()
    assert await one[0].read() == b"answer" * 100_000
    await eventually(lambda: not list(session.tunnel.home.sessions))


@pytest.mark.parametrize("ends", ["home", "work", "session", "data connection"])
async def test_a_reset_by_either_side_in_mid_stream(session: Session, ends: str) -> None:
    tunnel = session.tunnel
    match ends:
        case "home":
            await tunnel.home.close()
        case "work":
            await session.work.close()
        case "session":
            assert tunnel.home.sessions.close("all") == 1
        case "data connection":
            for task in session.work._data._tasks:
                task.cancel()
    assert await end_of(session.client[0]) == "reset"
    assert await end_of(session.service[0]) == "reset"


async def test_a_client_that_is_refused_is_reset(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    assert await refusal_of(await tunnel.client_listener("nothing")) == "reset"


async def test_a_stream_of_this_process(tunnel: Tunnel) -> None:
    """Connections of the proxy to SERVICE.WORK.internal, and the service, distinguish a reset from an end, too."""
    came: asyncio.Queue[Streams] = asyncio.Queue()
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await came.put((reader, writer))
        await over.wait()

    await tunnel.start_home()
    await tunnel.start_work(services={"it": await tunnel.serve(serve)})
    for rate in (0, 1_000_000):
        await tunnel.start_home(limits=SessionLimits(rate=rate))
        for breaks in ("client", "service"):
            reader, writer = await tunnel.home.connect("it", "office")
            service, service_writer = await came.get()
            writer.transport.abort() if breaks == "client" else break_off(service_writer)
            assert await end_of(service if breaks == "client" else reader) == "reset"
    over.set()
