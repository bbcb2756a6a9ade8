"""The page, and by which names it may be asked for."""

import asyncio

import pytest

from proxy_policies.metrics.server import serve
from proxy_policies.web_pages.page_server import bind


async def render(accept: str) -> tuple[bytes, str]:
    return f"for {accept}".encode(), "text/plain"


async def ask(target: str, host: str, *, accepts: bool = True) -> bytes:
    sockets = bind("127.0.0.1", 0)
    server = serve(sockets, render, lambda: accepts)
    server.start()
    reader, writer = await asyncio.open_connection(*sockets[0].getsockname()[:2])
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/plain\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await server.close()
    return answer


@pytest.mark.parametrize(
    ("target", "host", "expected"),
    [("/metrics", "localhost", b" 200 "), ("/metrics", "attacker.test", b" 403 "), ("/", "localhost", b" 404 ")],
)
async def test_who_is_given_what(target: str, host: str, expected: bytes) -> None:
    answer = await ask(target, host)
    assert expected in answer.split(b"\r\n")[0]
    assert answer.endswith(b"for text/plain") is (expected == b" 200 ")


async def test_health_says_whether_clients_are_accepted() -> None:
    well, stopping = await ask("/health", "localhost"), await ask("/health", "10.1.2.3", accepts=False)
    assert (well.split()[1], well.endswith(b"\r\n\r\nok\n")) == (b"200", True)
    assert (stopping.split()[1], stopping.endswith(b"\r\n\r\nnot accepting clients\n")) == (b"503", True)
