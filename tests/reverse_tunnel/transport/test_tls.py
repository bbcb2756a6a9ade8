"""Our TLS between transports, against itself and against asyncio's own."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme

from proxy_policies.reverse_tunnel.transport.tls import Tls

pytestmark = pytest.mark.timeout(60)

MIB = 1 << 20


class Sink(asyncio.BufferedProtocol):
    """Keeps what comes, in bites of `size` bytes, and how it ended."""

    def __init__(self, size: int = 1 << 16) -> None:
        self.got = bytearray()
        self.bites: list[int] = []
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None
        self.has_room = asyncio.Event()
        self.has_room.set()
        self.came = asyncio.Event()
        self._buffer = bytearray(size)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.got += self._buffer[:nbytes]
        self.bites.append(nbytes)
        self.came.set()

    def pause_writing(self) -> None:
        self.has_room.clear()

    def resume_writing(self) -> None:
        self.has_room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


@pytest.fixture
def client_tls(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


@pytest.fixture
async def theirs(server_tls: ssl.SSLContext) -> AsyncIterator[Any]:
    """Serve with asyncio's TLS; gives the address and a queue of stream pairs."""
    accepted: asyncio.Queue[Any] = asyncio.Queue()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await accepted.put((reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_tls) as server:
        yield server.sockets[0].getsockname(), accepted
        for writer in writers:
            writer.transport.abort()


async def dial(address: tuple[str, int], context: ssl.SSLContext, sink: Sink, **keywords: Any) -> Tls:
    tls = Tls(context, sink, server_hostname="localhost", **keywords)
    await asyncio.get_running_loop().create_connection(lambda: tls, *address)
    return tls


async def test_bytes_both_ways_with_asyncios_own(theirs: Any, client_tls: ssl.SSLContext) -> None:
    address, accepted = theirs
    sink = Sink()
    tls = await dial(address, client_tls, sink)
    await tls.handshake(5)
    reader, writer = await accepted.get()
    data, rng = random.Random(1).randbytes(5 * MIB + 3), random.Random(2)

    async def send() -> None:
        start = 0
        while start < len(data):
            stop = start + rng.choice((1, 100, 16384, 16385, 300_000))
            sink.transport.write(data[start:stop])
            await sink.has_room.wait()
            start = stop

    writer.write(data)
    received, _ = await asyncio.gather(reader.readexactly(len(data)), send())
    await writer.drain()
    writer.close()
    assert await sink.lost is None
    assert received == data
    assert sink.got == data


async def test_what_is_paused_waits_decrypted_or_not(theirs: Any, client_tls: ssl.SSLContext) -> None:
    """A reader that pauses in the middle of a read gets nothing more until it resumes, and then everything."""
    address, accepted = theirs
    sink = Sink(size=1000)
    tls = await dial(address, client_tls, sink)
    await tls.handshake(5)
    _, writer = await accepted.get()
    take = sink.buffer_updated

    def take_and_pause(nbytes: int) -> None:
        take(nbytes)
        tls.pause_reading()

    sink.buffer_updated = take_and_pause  # type: ignore[method-assign]
    data = random.Random(3).randbytes(50_000)
    writer.write(data)
    writer.close()
    while not sink.lost.done():
        before = len(sink.bites)
        await asyncio.sleep(0.002)
        assert len(sink.bites) <= before + 1
        tls.resume_reading()
    assert sink.got == data


async def test_a_bite_holds_many_records(theirs: Any, client_tls: ssl.SSLContext) -> None:
    address, accepted = theirs
    sink = Sink(size=MIB)
    tls = await dial(address, client_tls, sink)
    await tls.handshake(5)
    _, writer = await accepted.get()
    tls.pause_reading()
    writer.write(bytes(MIB))
    await asyncio.sleep(0.1)
    tls.resume_reading()
    while len(sink.got) < MIB:
        sink.came.clear()
        await sink.came.wait()
    assert max(sink.bites) > 16384


async def test_close_says_close_notify(theirs: Any, client_tls: ssl.SSLContext) -> None:
    address, accepted = theirs
    sink = Sink()
    tls = await dial(address, client_tls, sink)
    await tls.handshake(5)
    reader, _ = await accepted.get()
    tls.write(b"last words")
    tls.close()
    tls.close()
    tls.write(b"too late")
    assert await reader.read() == b"last words"
    assert await sink.lost is None


async def test_a_server_that_is_not_trusted(theirs: Any) -> None:
    """The client sends the reason, and the server receives it."""
    address, accepted = theirs
    sink = Sink()
    tls = await dial(address, ssl.create_default_context(), sink)
    with pytest.raises(ssl.SSLCertVerificationError):
        await tls.handshake(5)
    assert sink.transport is None
    await asyncio.sleep(0.05)
    assert accepted.empty()


async def test_a_client_that_shows_no_certificate(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    """TLS 1.3: the client thinks it is in, and learns by an alert that it is not."""
    server_tls.verify_mode = ssl.CERT_REQUIRED
    inside, outside = Sink(), Sink()
    guard, caller = Tls(server_tls, inside, server_side=True), Tls(client_tls, outside, server_hostname="localhost")
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    await asyncio.gather(
        loop.create_connection(lambda: guard, sock=far), loop.create_connection(lambda: caller, sock=near)
    )
    await caller.handshake(5)
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN"):
        await guard.handshake(5)
    assert "CERTIFICATE_REQUIRED" in str(await outside.lost).upper()


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", bytes(70_000), b"\x16\x03\x01\xff\xff" + bytes(100)])
async def test_garbage_is_refused(said: bytes, server_tls: ssl.SSLContext) -> None:
    guard = Tls(server_tls, Sink(), server_side=True)
    near, far = socket.socketpair()
    with near:
        await asyncio.get_running_loop().create_connection(lambda: guard, sock=far)
        near.send(said)
        near.shutdown(socket.SHUT_WR)
        with pytest.raises(OSError, match=r"SSL|handshake"):
            await guard.handshake(5)


async def test_silence_is_not_waited_for(server_tls: ssl.SSLContext) -> None:
    guard = Tls(server_tls, Sink(), server_side=True)
    near, far = socket.socketpair()
    with near:
        await asyncio.get_running_loop().create_connection(lambda: guard, sock=far)
        with pytest.raises(TimeoutError):
            await guard.handshake(0.05)
        near.setblocking(False)
        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(near, 1), 100) == b""
