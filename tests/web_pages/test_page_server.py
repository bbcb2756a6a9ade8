"""Pages of ours: under which names they may be asked for, and what clients may have and cause."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from tornado import web

from proxy_policies.web_pages.page_server import MAX_CONNECTIONS, MAX_HEAD, PageServer, bind, is_own_name

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "::1", "localhost", "LOCALHOST", "192.0.2.7"])
def test_ours(host: str) -> None:
    assert is_own_name(host)


@pytest.mark.parametrize("host", ["", "attacker.test", "127.0.0.1.attacker.test", "localhost.attacker.test", "0x7f.1"])
def test_foreign_hosts_are_refused(host: str) -> None:
    assert not is_own_name(host)


class Page(web.RequestHandler):
    def get(self) -> None:
        self.finish("page")

    post = get


@pytest.fixture
async def port() -> AsyncIterator[int]:
    sockets = bind("127.0.0.1", 0)
    server = PageServer(sockets, web.Application([("/", Page)]), max_body=1000)
    server.start()
    yield sockets[0].getsockname()[1]
    await server.close()


async def ask(port: int, request: bytes) -> bytes:
    """Return the head of the response; nothing where there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    finally:
        writer.close()


async def test_no_more_is_taken_than_there_is_to_say(port: int) -> None:
    assert b" 200 " in await ask(port, GET)
    assert b" 200 " in await ask(
        port, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" + bytes(1000)
    )
    assert b" 200 " not in await ask(port, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n")
    assert b" 200 " not in await ask(port, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n")


async def test_the_oldest_connection_makes_room(port: int) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS + 5)]
    assert b" 200 " in await ask(port, GET)
    async with asyncio.timeout(60):
        assert [await reader.read() for reader, _ in idle[:5]] == [b""] * 5
    assert not any(reader.at_eof() for reader, _ in idle[10:])
    for _, writer in idle:
        writer.close()
    await asyncio.sleep(0.05)


async def test_what_clients_cause_is_logged_now_and_then(port: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(50):
        await ask(port, b"GET\x1b[2J\r\n\r\n")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("tornado")]
    assert len(lines) == 1
    assert "Malformed HTTP message" in lines[0]
    assert "\x1b" not in lines[0]
