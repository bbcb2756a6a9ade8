"""No byte is lost or left unread, wherever a connection is handed over and its bytes are split.

A connection is read by mitmproxy's layers, by ours on its socket, and by mitmproxy's again once HTTP was upgraded.
Every client hello, request and message is sent in pieces, cut at every byte in turn and at random; so are the answers.
Its client ends its half first, by TLS's closing alert or a FIN, and gets the last words.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from tests.support.mitmdump import Both, both_modes
from tests.support.openings import trusting_anyone
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.timeout(300)

CASES = 40
WAIT = 20.0 * PATIENCE
"""Seconds for one client from its connecting to its end; a response that no event announces never arrives."""
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: mine\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
END = b"\r\n\r\n"


@dataclass
class End:
    """One end of a connection, whose bytes go out in pieces; with TLS over it once `wrap` was called."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    dice: random.Random
    cut: int = 0
    """Where the next bytes are cut in any case."""
    tls: ssl.SSLObject | None = None
    incoming: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    outgoing: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    received: bytes = b""
    is_over: bool = False

    async def wrap(self, context: ssl.SSLContext, name: str | None) -> None:
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=name is None, server_hostname=name)
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
                await self._more()
        await self._flush()

    async def send(self, *pieces: bytes) -> None:
        """Send pieces, each a record of its own in TLS, and all cut where it happens."""
        for piece in pieces:
            if self.tls is None:
                self.outgoing.write(piece)
            else:
                self.tls.write(piece)
        await self._flush()

    async def end_sending(self) -> None:
        if self.tls is not None:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.unwrap()
        await self._flush()
        if self.tls is None:
            self.writer.write_eof()

    async def _flush(self) -> None:
        data = self.outgoing.read()
        while data:
            size = self.cut if 0 < self.cut < len(data) else self.dice.choice((1, 50, 1 << 20, 1 << 20))
            self.cut = 0
            self.writer.write(data[:size])
            data = data[size:]
            if data or self.dice.random() < 0.5:
                await self.writer.drain()
                await asyncio.sleep(self.dice.choice((0, 0, 0.002)))

    async def _more(self) -> bool:
        data = await self.reader.read(self.dice.choice((50, 65536, 65536)))
        if self.tls is None:
            self.received += data
        else:
            self.incoming.write(data) if data else self.incoming.write_eof()
        return bool(data)

    async def read_more(self) -> bool:
        """Read what comes next; False at the end, which in TLS is to be said."""
        if self.tls is None:
            return await self._more()
        while True:
            try:
                data = self.tls.read(65536)
            except ssl.SSLWantReadError:
                await self._more()
            except ssl.SSLZeroReturnError:
                return False
            else:
                self.received += data
                return bool(data)

    async def read_until(self, end: bytes) -> bytes:
        while end not in self.received:
            assert await self.read_more(), self.received
        head, _, self.received = self.received.partition(end)
        return head + end

    async def read_exactly(self, size: int) -> bytes:
        while len(self.received) < size:
            assert await self.read_more(), (len(self.received), size)
        data, self.received = self.received[:size], self.received[size:]
        return data

    async def read_all(self) -> bytes:
        while await self.read_more():
            pass
        return self.received


def turned(data: bytes) -> bytes:
    """Return what the origin answers."""
    return data.translate(bytes(range(255, -1, -1)))


class TurningOrigin:
    """Answers requests, and after an upgrade says the inverse of every byte; with or without TLS."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._number = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._number += 1
        end = End(reader, writer, random.Random(self._number))
        try:
            end.received = await reader.readexactly(1)
            if end.received == b"\x16":
                end.incoming.write(end.received)
                end.received = b""
                await end.wrap(self._tls, None)
            await self._answer(end)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def _answer(self, end: End) -> None:
        while b"upgrade:" not in (await end.read_until(END)).lower():
            end.cut = end.dice.randrange(len(ANSWER))
            await end.send(ANSWER)
        end.cut = end.dice.randrange(2 * len(SWITCHING))
        pieces = (SWITCHING, b"first words") if end.dice.random() < 0.5 else (SWITCHING + b"first words",)
        await end.send(*pieces)
        while True:
            data, end.received = end.received, b""
            if data:
                await end.send(turned(data))
            if not await end.read_more():
                break
        await end.send(b"last words")
        await end.end_sending()


@dataclass(frozen=True)
class Way:
    """How a client reaches the origin."""

    mode: str
    is_tunnel: bool
    is_secure: bool


WAYS = {
    "https in a tunnel": Way("regular", True, True),
    "http in a tunnel": Way("regular", True, False),
    "https to a reverse proxy": Way("reverse", False, True),
    "http to a reverse proxy": Way("reverse", False, False),
}


async def one_client(proxy: int, origin: int, way: Way, number: int) -> None:
    dice = random.Random(number)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    end = End(reader, writer, dice, cut=number)
    try:
        if way.is_tunnel:
            await end.send(f"CONNECT localhost:{origin} HTTP/1.1\r\nHost: localhost:{origin}\r\n\r\n".encode())
            assert b" 200 " in await end.read_until(END)
            end.cut = number
        if way.is_secure:
            await end.wrap(trusting_anyone(), "localhost")
        for _ in range(number % 3):
            await end.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await end.read_until(b"hello")
        end.cut = number
        await end.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: mine\r\n\r\n")
        assert b" 101 " in await end.read_until(END)
        assert await end.read_exactly(11) == b"first words"
        for _ in range(3):
            data = dice.randbytes(dice.choice((1, 50, 5000, 20_000)))
            end.cut = dice.randrange(100)
            await asyncio.gather(end.send(data), _expect(end, turned(data)))
        await end.end_sending()
        assert await end.read_all() == b"last words"
    finally:
        writer.close()


async def _expect(end: End, data: bytes) -> None:
    assert await end.read_exactly(len(data)) == data


@pytest.fixture(scope="module", params=["on", "off"])
def lane(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def run_all(both: Both, origin: int, way: Way, numbers: Iterator[int]) -> list[str]:
    """Have clients come, some at a time; return what went wrong."""
    wrong: list[str] = []

    async def some() -> None:
        for number in numbers:
            try:
                async with asyncio.timeout(WAIT):
                    await one_client(both.ports[way.mode], origin, way, number)
            except (OSError, EOFError, AssertionError) as error:
                wrong.append(f"{number}: {error!r:.300}")

    await asyncio.gather(*(some() for _ in range(12)))
    return wrong


@pytest.mark.parametrize("way", WAYS)
async def test_every_byte_arrives(
    way: str, lane: str, server_tls: ssl.SSLContext, tmp_path_factory: pytest.TempPathFactory
) -> None:
    origin = TurningOrigin(server_tls)
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    scheme = "https" if WAYS[way].is_secure else "http"
    options = ("-q", "--set", f"fast_lane={lane}", "--set", "inspect_hosts=*", "--set", "ssl_insecure=true")
    both = await asyncio.to_thread(
        both_modes, f"{scheme}://localhost:{port}", tmp_path_factory.mktemp("confdir"), *options[1:]
    )
    try:
        assert await run_all(both, port, WAYS[way], iter(range(CASES))) == []
    finally:
        await asyncio.to_thread(both.process.stop)
        server.close()
    assert "Traceback" not in both.process.log()
