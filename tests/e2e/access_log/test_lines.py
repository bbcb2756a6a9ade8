"""Every request and every tunnel is one line, whichever way it took, and the line is right."""

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.support.access_lines import PAGE, Logged
from tests.support.connect_tunnels import connect, serving
from tests.support.curl import curl
from tests.support.fast_lane import echo
from tests.support.origin import exchange_raw
from tests.support.sockets import reset_when_closed
from tests.support.waiting import free_port, wait_until
from tests.support.websocket_server import Chat
from tests.support.websocket_server import serving as websocket_serving


def ask(logged: Logged, path: str, *arguments: str) -> tuple[dict[str, Any], bytes]:
    """Ask the plain origin for something; gives its line and the body on the wire."""
    result = curl("-x", logged.proxy.url, logged.origin.url + path, *arguments)
    return logged.lines.one(), result.body


def test_misses_hits_and_learned_hits(logged: Logged) -> None:
    for cache in ("uri-miss", "hit", "hit", "hit"):
        line, body = ask(logged, "/fresh")
        assert body == PAGE
        assert line["request"] == f"GET {logged.origin.url}/fresh HTTP/1.1"
        assert line["upstream"] == (f"127.0.0.1:{logged.origin.port}" if cache != "hit" else None)
        assert (line["type"], line["status"], line["bytes"], line["cache"]) == ("request", 200, len(PAGE), cache)
        assert line["client"].startswith("127.0.0.1:")
        assert line["user_agent"].startswith("curl/")
        assert line["host"] == f"127.0.0.1:{logged.origin.port}"
        assert line["seconds"] >= (line["upstream_seconds"] or 0) >= 0
        assert (line["user"], line["referer"], line["error"]) == (None, None, None)


@pytest.mark.parametrize("path", ["/large", "/chunks", "/fresh?encoded"])
def test_bytes_are_those_on_the_wire(logged: Logged, path: str) -> None:
    line, body = ask(logged, path, "-H", "Accept-Encoding: gzip")
    assert (line["status"], line["bytes"]) == (200, len(body))
    assert line["encoding"] == ("gzip" if "encoded" in path else None)


def test_what_has_no_body(logged: Logged) -> None:
    line, _ = ask(logged, "/fresh?head", "--head")
    assert (line["request"].split()[0], line["status"], line["bytes"]) == ("HEAD", 200, 0)
    line, _ = ask(logged, "/empty")
    assert (line["status"], line["bytes"]) == (204, 0)


@pytest.mark.parametrize("size", [5, 1_200_000])
def test_what_the_client_sends_is_counted(logged: Logged, size: int, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(bytes(size))
    line, _ = ask(logged, "/post", "--data-binary", f"@{tmp_path / 'body'}")
    assert (line["request"].split()[0], line["bytes_received"], line["cache"]) == ("POST", size, "method")


def test_an_origin_that_cannot_be_reached(logged: Logged) -> None:
    port = free_port()
    result = curl("-x", logged.proxy.url, f"http://127.0.0.1:{port}/")
    line = logged.lines.one()
    assert (line["status"], line["bytes"], line["upstream"]) == (502, len(result.body), f"127.0.0.1:{port}")
    assert "refused" in line["error"]
    assert line["cache"] == "uri-miss"


def test_a_client_that_leaves_before_its_answer(logged: Logged) -> None:
    async def run() -> None:
        asked = asyncio.Event()

        async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set()
            await reader.read()

        async with serving(never) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", logged.proxy.port)
            writer.write(f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            await asked.wait()
            sock: socket.socket = writer.get_extra_info("socket")
            reset_when_closed(sock)
            writer.transport.abort()
            line = await asyncio.to_thread(logged.lines.one)
            assert (line["status"], line["bytes"]) == (499, 0), line
            assert line["error"]

    asyncio.run(run())


@pytest.mark.parametrize("request_line", [b"GET http://%b/ HTTP/1.1", b"CONNECT %b HTTP/1.1"])
def test_a_client_that_leaves_while_its_origin_is_dialled(logged: Logged, request_line: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        port = full.getsockname()[1]
        for _ in range(2):  # more connections than it accepts: the kernel ignores the next
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        dials, host = _dials(port), b"127.0.0.1:%d" % port
        client = socket.create_connection(("127.0.0.1", logged.proxy.port))
        client.sendall(request_line % host + b"\r\nHost: %b\r\n\r\n" % host)
        wait_until(lambda: _dials(port) > dials)
        reset_when_closed(client)
        client.close()
        line = logged.lines.one()
    assert (line["status"], line["bytes"]) == (499, 0), line
    assert line["error"]


def _dials(port: int) -> int:
    """Return the number of connections to a port that the kernel tries to open."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[2].endswith(f":{port:04X}") and line[3] == "02" for line in lines)


@pytest.mark.parametrize("said", [b"GARBAGE\x1b[2J\r\n\r\n", b"GET http://h/ HTTP/1.1\r\nBad Name: x\r\n\r\n"])
def test_what_is_no_request(logged: Logged, said: bytes) -> None:
    answer = exchange_raw(logged.proxy.port, said, eof=True)
    line = logged.lines.one()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert (line["request"], line["status"]) == (None, 400)
    assert line["error"]


def test_a_body_that_is_none(logged: Logged) -> None:
    head = f"POST {logged.origin.url}/ HTTP/1.1\r\nHost: 127.0.0.1:{logged.origin.port}\r\nTransfer-Encoding: chunked"
    answer = exchange_raw(logged.proxy.port, head.encode() + b"\r\n\r\nzz\r\n", eof=True)
    line = logged.lines.one()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert (line["request"], line["status"]) == (f"POST {logged.origin.url}/ HTTP/1.1", 400)


def test_a_websocket_connection_is_a_line_when_it_ends(logged: Logged) -> None:
    with websocket_serving(Chat()) as url:
        address = url.partition("://")[2].partition("/")[0]
        fields = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        head = "\r\n".join([f"GET http://{address}/ HTTP/1.1", f"Host: {address}", *fields, key, "", ""])
        with socket.create_connection(("127.0.0.1", logged.proxy.port)) as client:
            client.sendall(head.encode())
            assert client.recv(20).startswith(b"HTTP/1.1 101 ")
            client.sendall(b"\x81\x82\0\0\0\0hi")
            received = b""
            while b"heard" not in received:
                received += client.recv(1000)
        line = logged.lines.one()
        assert (line["request"], line["status"]) == (f"GET http://{address}/ HTTP/1.1", 101)
        assert (line["bytes_received"], line["type"]) == (2, "request")
        assert line["bytes"] > 0


def test_nothing_forges_a_line_or_gets_a_secret_into_one(logged: Logged) -> None:
    token = "k3J9xQ2vLm8Zr7Tn5Yc1"
    fields = ["-A", 'a" 200 {"status": 200}\x80', "-H", f"Referer: http://me:hunter22@h/?token={token}"]
    curl("-x", logged.proxy.url, f"{logged.origin.url}/?password=hunter22&access_token={token}", *fields)
    text = json.dumps(logged.lines.one())
    assert "hunter22" not in text
    assert token not in text
    assert "REDACTED" in text
    assert '"user_agent": "a\\" 200 {\\"status\\": 200}' in text


def test_an_untouched_tunnel_is_a_line_when_it_ends(logged: Logged) -> None:
    async def run() -> None:
        async with serving(echo) as port:
            reader, writer = await connect(logged.proxy.port, port)
            writer.write(b"hello" * 20)
            assert await reader.readexactly(100) == b"hello" * 20
            writer.close()
            line = await asyncio.to_thread(logged.lines.one)
            assert (line["type"], line["request"]) == ("tunnel", f"CONNECT 127.0.0.1:{port}")
            assert (line["status"], line["bytes"], line["bytes_received"]) == (200, 100, 100)
            assert (line["upstream"], line["error"]) == (f"127.0.0.1:{port}", None)

    asyncio.run(run())


def test_a_tunnel_that_cannot_be_opened(logged: Logged) -> None:
    port = free_port()
    with socket.create_connection(("127.0.0.1", logged.proxy.port)) as client:
        client.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 502 ")
    line = logged.lines.one()
    assert (line["request"], line["status"]) == (f"CONNECT 127.0.0.1:{port} HTTP/1.1", 502)
    assert "refused" in line["error"]
    assert line["upstream"] == f"127.0.0.1:{port}"


def test_what_is_asked_inside_of_a_tunnel(logged: Logged) -> None:
    url = f"https://localhost:{logged.secure.port}/chunks"
    result = curl("-x", logged.proxy.url, "--cacert", str(logged.proxy.ca), url)
    assert result.body == b"onetwo"
    inside, tunnel = sorted(logged.lines.take(2), key=lambda line: str(line["type"]))
    assert inside["request"] == "GET /chunks HTTP/1.1"
    assert (inside["status"], inside["bytes"], inside["host"]) == (200, 6, f"localhost:{logged.secure.port}")
    assert (tunnel["type"], tunnel["request"]) == ("tunnel", f"CONNECT localhost:{logged.secure.port} HTTP/1.1")
    assert (tunnel["status"], tunnel["bytes"]) == (200, None)
