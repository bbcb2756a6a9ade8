"""The forward proxy with real clients: methods, bodies, versions, pipelines, redirects."""

import asyncio
import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received, exchange_raw
from tests.support.waiting import wait_until


@pytest.fixture
def server(origin: Callable[..., Origin]) -> Origin:
    running = origin()

    def echo(request: Received) -> Answer:
        return Answer(body=hashlib.sha256(request.body).hexdigest().encode())

    running.route("/echo", echo)
    running.route("/chunks", Answer(body=[b"a" * 10, b"b" * 70_000, b"c"]))
    running.route("/204", Answer(status=204, body=b""))
    running.route("/304", Answer(status=304, body=b""))
    return running


@pytest.fixture
def simple(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """Run `python -m http.server`, which speaks HTTP/1.0 and closes after every answer."""
    (tmp_path / "index.html").write_text("<h1>simple</h1>")
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listens, what="http.server")
    yield f"http://127.0.0.1:{port}"
    running.terminate()
    running.wait(100)


def test_python_http_server(proxy: Mitmdump, simple: str, curl: Any) -> None:
    result = curl("-x", proxy.url, f"{simple}/", f"{simple}/", "-o", "/dev/null", "-v")
    assert result.status == 200
    assert "left intact" in result.stderr
    assert "Re-using existing connection" in result.stderr
    assert result.heads[0] == "HTTP/1.1 200 OK"
    assert curl("-x", proxy.url, "-I", f"{simple}/").status == 200


def test_methods_and_bodies(proxy: Mitmdump, server: Origin, curl: Any) -> None:
    through = ("-x", proxy.url)
    assert curl(*through, f"{server.url}/").body == b"hello from the origin\n"
    head = curl(*through, "-I", f"{server.url}/")
    assert (head.status, head.body[:0], head.get("content-length")) == (200, b"", "22")
    posted = curl(*through, "-d", "a=b", f"{server.url}/echo")
    assert posted.body == hashlib.sha256(b"a=b").hexdigest().encode()
    assert server.requests[-1].get("Content-Length") == "3"
    chunked = curl(*through, "-H", "Transfer-Encoding: chunked", "-d", "x" * 5000, f"{server.url}/echo")
    assert chunked.body == hashlib.sha256(b"x" * 5000).hexdigest().encode()
    assert server.requests[-1].get("Content-Length") is None
    assert curl(*through, f"{server.url}/chunks").body == b"a" * 10 + b"b" * 70_000 + b"c"
    for method in ("DELETE", "OPTIONS", "PATCH", "PROPFIND"):
        assert curl(*through, "-X", method, f"{server.url}/").status == 200
        assert server.requests[-1].method == method


def test_a_put_of_200_mib(proxy: Mitmdump, curl: Any, tmp_path: Path) -> None:
    big, size = tmp_path / "big", 200 << 20
    block = os.urandom(1 << 20)
    with big.open("wb") as file:
        for _ in range(200):
            file.write(block)
    digest = hashlib.sha256(block * 200).hexdigest().encode()
    before = proxy.resident()

    async def main() -> bytes:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            assert f"content-length: {size}".encode() in head.lower()
            seen, left = hashlib.sha256(), size
            while left and (data := await reader.read(1 << 20)):
                seen.update(data)
                left -= len(data)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + seen.hexdigest().encode())
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(take, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}/put"
            result = await asyncio.to_thread(curl, "-x", proxy.url, "-T", str(big), url, timeout=90)
            assert result.status == 200
            body: bytes = result.body
            return body

    assert asyncio.run(main()) == digest
    assert proxy.resident() - before < 64 << 20


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_handed_back_untouched(proxy: Mitmdump, server: Origin, curl: Any, status: int) -> None:
    server.route("/moved", Answer(status=status, headers=[("Location", "http://elsewhere.test/")], body=b"there"))
    result = curl("-x", proxy.url, f"{server.url}/moved")
    assert (result.status, result.get("Location"), result.body) == (status, "http://elsewhere.test/", b"there")


def test_204_and_304_have_no_body(proxy: Mitmdump, server: Origin) -> None:
    for status in (204, 304):
        request = f"GET {server.url}/{status} HTTP/1.1\r\nHost: h\r\n\r\n" * 2
        request += f"GET {server.url}/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        answer = exchange_raw(proxy.port, request.encode())
        assert answer.count(f"HTTP/1.1 {status} ".encode()) == 2
        assert answer.endswith(b"hello from the origin\n")
        assert b"ransfer" not in answer


def test_fields_are_kept_in_order_case_and_number(proxy: Mitmdump, server: Origin) -> None:
    server.route("/fields", Answer(headers=[("sEt-cOOkie", "a=1"), ("X-One", "1"), ("SET-COOKIE", "b=2")]))
    request = f"GET {server.url}/fields HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
    request += "x-LOUD: 1\r\nX-Two: 2\r\nx-loud: 3\r\n\r\n"
    answer = exchange_raw(proxy.port, request.encode())
    seen = [(name, value) for name, value in server.requests[0].headers if name.lower().startswith("x-")]
    assert seen[:3] == [("x-LOUD", "1"), ("X-Two", "2"), ("x-loud", "3")]
    assert answer.index(b"sEt-cOOkie: a=1\r\n") < answer.index(b"X-One: 1\r\n") < answer.index(b"SET-COOKIE: b=2\r\n")


def test_host_is_what_the_target_says(proxy: Mitmdump, server: Origin) -> None:
    request = f"GET {server.url}/ HTTP/1.1\r\nHost: liar.test\r\nConnection: close\r\n\r\n"
    exchange_raw(proxy.port, request.encode())
    assert server.requests[0].get("Host") == f"127.0.0.1:{server.port}"
    assert server.requests[0].target == "/"


def test_a_pipeline_is_answered_in_order(proxy: Mitmdump, server: Origin) -> None:
    server.route("/n", lambda request: Answer(body=request.target.encode()))
    requests = [f"GET {server.url}/n{number} HTTP/1.1\r\nHost: h\r\n\r\n" for number in range(20)]
    requests.insert(7, f"POST {server.url}/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
    requests.append(f"GET {server.url}/n-last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    answer = exchange_raw(proxy.port, "".join(requests).encode())
    places = [answer.index(f"/n{number}".encode()) for number in range(20)]
    assert places == sorted(places)
    assert answer.endswith(b"/n-last")
    assert server.connections == 1


def test_http_1_0_clients_never_see_chunks(proxy: Mitmdump, server: Origin) -> None:
    for more in ("", "Connection: keep-alive\r\n"):
        answer = exchange_raw(proxy.port, f"GET {server.url}/chunks HTTP/1.0\r\n{more}\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in head.lower()
        assert b"transfer-encoding" not in head.lower()
        assert body == b"a" * 10 + b"b" * 70_000 + b"c"
        assert server.requests[-1].version == "HTTP/1.1"
        assert server.requests[-1].get("Host") == f"127.0.0.1:{server.port}"


def test_an_answer_to_100_continue(proxy: Mitmdump, server: Origin, curl: Any, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"z" * 5000)
    result = curl("-x", proxy.url, "-H", "Expect: 100-continue", "-T", str(tmp_path / "body"), f"{server.url}/echo")
    assert result.heads == ["HTTP/1.1 100 Continue", "HTTP/1.1 200 Whatever"]
    assert result.body == hashlib.sha256(b"z" * 5000).hexdigest().encode()


def test_200_clients_at_once(proxy: Mitmdump, server: Origin) -> None:
    async def one(number: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        head = f"POST {server.url}/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + b"%04d" % number)
        answer = await reader.read()
        writer.close()
        return answer.partition(b"\r\n\r\n")[2]

    async def everyone() -> list[bytes]:
        return await asyncio.gather(*(one(number) for number in range(200)))

    expected = [hashlib.sha256(b"%04d" % number).hexdigest().encode() for number in range(200)]
    assert asyncio.run(everyone()) == expected
