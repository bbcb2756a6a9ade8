"""CONNECT: untouched by default, whatever follows; 200 only when the target is connected."""

import asyncio
import contextlib
import hashlib
import itertools
import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.openings import read_all
from tests.support.origin import Answer, Origin
from tests.support.socket_server import SocketServer
from tests.support.sshd import Sshd
from tests.support.waiting import wait_until


def connect(proxy_port: int, target: str, fields: str = "") -> tuple[socket.socket, bytes]:
    """Open a tunnel and give its socket and the head of the answer."""
    sock = socket.create_connection(("127.0.0.1", proxy_port), timeout=100)
    sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{fields}\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := sock.recv(1)):
        head += byte
    return sock, head


class Peer:
    """A TCP server that calls a given function for its first connection."""

    def __init__(self, talk: Callable[[socket.socket], object]) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        self.thread = threading.Thread(target=self._serve, args=(talk,), daemon=True)
        self.thread.start()

    def _serve(self, talk: Callable[[socket.socket], object]) -> None:
        connection, _ = self.server.accept()
        with connection:
            talk(connection)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()


def test_tls_keeps_the_origins_own_certificate(
    proxy: Mitmdump, origin: Callable[..., Origin], server_tls: ssl.SSLContext, ca_file: Path, curl: Any
) -> None:
    server = origin(server_tls)
    result = curl("-x", proxy.url, "--cacert", str(ca_file), f"{server.url}/")
    assert (result.status, result.body) == (200, b"hello from the origin\n")
    assert len(result.heads) == 2
    target = f"127.0.0.1:{server.port}"
    proxy.wait_log(rf"tunnel 127\.0\.0\.1:\d+ → {target} opened, not in inspect_hosts")
    closed = proxy.wait_log(rf"tunnel 127\.0\.0\.1:\d+ → {target} closed, (\d+) bytes up, (\d+) bytes down, \d\.\d s")
    assert int(closed[1]) > 300
    assert int(closed[2]) > 1000


def test_a_client_that_leaves_in_the_content_of_its_connect(mitmdump: Callable[..., Mitmdump]) -> None:
    proxy = mitmdump()
    with Peer(read_all) as peer, socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sock.sendall(
            f"CONNECT 127.0.0.1:{peer.port} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
        sock.close()
        proxy.wait_log("client disconnect")
    assert proxy.stop() == 0
    assert "Traceback" not in proxy.log()


@pytest.mark.parametrize("fields", ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"])
def test_a_server_may_speak_first_and_a_client_may_keep_silent(proxy: Mitmdump, fields: str) -> None:
    """CONNECT has no content, whatever it announces (RFC 9110, section 9.3.6)."""

    def greet(sock: socket.socket) -> None:
        sock.sendall(b"220 ready\r\n")
        sock.recv(10)
        sock.sendall(b"221 bye\r\n")

    with Peer(greet) as peer:
        sock, head = connect(proxy.port, f"127.0.0.1:{peer.port}", fields)
        with sock:
            assert head.startswith(b"HTTP/1.1 200 ")
            assert sock.recv(100) == b"220 ready\r\n"
            sock.sendall(b"QUIT\r\n")
            assert read_all(sock) == b"221 bye\r\n"


def test_what_a_refused_connect_has_announced_is_no_request(mitmdump: Callable[..., Mitmdump]) -> None:
    proxy = mitmdump("--proxyauth", "ann:secret")
    request = "GET http://proxy.invalid/ HTTP/1.1\r\nHost: proxy.invalid\r\n\r\n"
    sock, head = connect(proxy.port, "127.0.0.1:9", f"Content-Length: {len(request)}\r\n")
    with sock:
        assert head.startswith(b"HTTP/1.1 407 ")
        sock.sendall(request.encode())
        assert b"HTTP/1.1" not in read_all(sock)


@pytest.mark.parametrize("lane", ["on", "off"])
def test_an_open_tunnel_is_shown_before_its_first_byte(mitmdump: Callable[..., Mitmdump], lane: str) -> None:
    proxy = mitmdump("--set", f"fast_lane={lane}")
    with Peer(read_all) as peer:
        sock, _ = connect(proxy.port, f"127.0.0.1:{peer.port}")
        proxy.wait_log(rf"→ 127\.0\.0\.1:{peer.port} opened")
        sock.close()
        proxy.wait_log(rf"→ 127\.0\.0\.1:{peer.port} closed, 0 bytes up, 0 bytes down")


@pytest.mark.parametrize("lane", ["on", "off"])
def test_a_half_close_stays_one(mitmdump: Callable[..., Mitmdump], lane: str) -> None:
    size = 8 << 20
    through = mitmdump("--set", f"fast_lane={lane}")

    def answer_at_the_end(sock: socket.socket) -> None:
        digest = hashlib.sha256(read_all(sock)).hexdigest().encode()
        sock.sendall(digest + b"\n" + b"z" * size)

    with Peer(answer_at_the_end) as peer:
        sock, _ = connect(through.port, f"127.0.0.1:{peer.port}")
        with sock:
            data = os.urandom(size)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            answer = read_all(sock)
    assert answer[:64] == hashlib.sha256(data).hexdigest().encode()
    assert len(answer) == 65 + size
    through.wait_log(rf"closed, {size} bytes up, {size + 65} bytes down")


@pytest.mark.parametrize("lane", ["on", "off"])
def test_a_server_may_end_first(mitmdump: Callable[..., Mitmdump], lane: str) -> None:
    through = mitmdump("--set", f"fast_lane={lane}")
    heard: list[bytes] = []

    def talk(sock: socket.socket) -> None:
        sock.sendall(b"that is all")
        sock.shutdown(socket.SHUT_WR)
        heard.append(read_all(sock))

    with Peer(talk) as peer:
        sock, _ = connect(through.port, f"127.0.0.1:{peer.port}")
        with sock:
            assert read_all(sock) == b"that is all"
            sock.sendall(b"not for me")
            sock.shutdown(socket.SHUT_WR)
            wait_until(lambda: heard)
    assert heard == [b"not for me"]


@pytest.mark.parametrize("lane", ["on", "off"])
def test_a_tunnel_is_over_when_both_have_ended(mitmdump: Callable[..., Mitmdump], lane: str) -> None:
    """However little was sent, and whichever side ended first: nothing stays open."""
    through = mitmdump("--set", f"fast_lane={lane}")
    for said, reply in itertools.product((b"", b"x", b"xy"), repeat=2):
        for ends_first in ("client", "server"):
            with socket.create_server(("127.0.0.1", 0)) as listening:
                client, _ = connect(through.port, f"127.0.0.1:{listening.getsockname()[1]}")
                server, _ = listening.accept()
            with client, server:
                ends = [(client, said, server), (server, reply, client)]
                for mine, words, other in ends if ends_first == "client" else reversed(ends):
                    mine.sendall(words)
                    mine.shutdown(socket.SHUT_WR)
                    assert read_all(other) == words
                port = client.getsockname()[1]
            through.wait_log(rf"127\.0\.0\.1:{port}\] client disconnect")


def test_both_ways_at_once_byte_for_byte(proxy: Mitmdump) -> None:
    size = 16 << 20
    there, back = os.urandom(size), os.urandom(size)
    heard: list[bytes] = []

    def talk(sock: socket.socket) -> None:
        sender = threading.Thread(target=sock.sendall, args=(back,))
        sender.start()
        data = b""
        while len(data) < size:
            data += sock.recv(1 << 20)
        heard.append(data)
        sender.join()

    with Peer(talk) as peer:
        sock, _ = connect(proxy.port, f"127.0.0.1:{peer.port}")
        with sock:
            sender = threading.Thread(target=sock.sendall, args=(there,))
            sender.start()
            assert read_all(sock) == back
            sender.join()
    wait_until(lambda: heard)
    assert heard == [there]


def test_plain_websocket_through_a_tunnel(proxy: Mitmdump) -> None:
    from websockets.sync.client import connect as ws_connect
    from websockets.sync.server import ServerConnection, serve

    def echo(ws: ServerConnection) -> None:
        for message in ws:
            ws.send(message)

    with serve(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        port = server.socket.getsockname()[1]
        with ws_connect(f"ws://127.0.0.1:{port}/", proxy=proxy.url) as client:
            client.send("ping")
            assert client.recv(timeout=100) == "ping"
        server.shutdown()
    proxy.wait_log(rf"127\.0\.0\.1:{port} opened")


def test_ssh_through_a_tunnel(proxy: Mitmdump, tmp_path: Path) -> None:
    server = Sshd(tmp_path)
    try:
        tunnel = f"ProxyCommand=socat - PROXY:127.0.0.1:%h:%p,proxyport={proxy.port}"
        command = ["ssh", *server.options(server.port), "-o", tunnel, "127.0.0.1", "sha256sum"]
        data = os.urandom(4 << 20)
        done = subprocess.run(command, input=data, capture_output=True, timeout=60)
        assert done.stdout.decode().split()[:1] == [hashlib.sha256(data).hexdigest()], done.stderr
    finally:
        server.process.terminate()
        server.process.wait(100)


def test_refused_and_unresolvable_targets_are_502_with_the_reason(
    proxy: Mitmdump, curl: Any, free_port: Callable[[], int]
) -> None:
    port = free_port()
    result = curl("-x", proxy.url, f"https://127.0.0.1:{port}/")
    assert result.heads == ["HTTP/1.1 502 Bad Gateway"]
    for target, expected in (
        (f"127.0.0.1:{port}", f"cannot connect to 127.0.0.1:{port}: connection refused\n"),
        ("no-such-host.invalid:443", "cannot connect to no-such-host.invalid:443: the name does not resolve\n"),
        ("[::1]:1", "cannot connect to [::1]:1: "),
    ):
        sock, head = connect(proxy.port, target)
        with sock:
            assert head.startswith(b"HTTP/1.1 502 ")
            body = read_all(sock).decode()
            assert body.startswith(expected), body
            assert f"content-length: {len(body)}" in head.decode().lower()


def test_a_silent_target_is_502_within_connect_timeout(mitmdump: Callable[..., Mitmdump], curl: Any) -> None:
    patient = mitmdump("--set", "connect_timeout=1s")
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        sock, head = connect(patient.port, f"127.0.0.1:{port}")
        with sock:
            assert head.startswith(b"HTTP/1.1 502 ")
            assert read_all(sock) == f"cannot connect to 127.0.0.1:{port}: no answer within 1 s\n".encode()
        result = curl("-x", patient.url, f"http://127.0.0.1:{port}/")
        assert result.status == 502
        assert f"cannot connect to 127.0.0.1:{port}: no answer within 1 s".encode() in result.body
        for filler in fillers:
            filler.close()


def test_a_strategy_the_user_chose_is_left_alone(
    mitmdump: Callable[..., Mitmdump], free_port: Callable[[], int]
) -> None:
    lazy = mitmdump("--set", "connection_strategy=lazy")
    target = f"127.0.0.1:{free_port()}"
    sock, head = connect(lazy.port, target)
    with sock:
        assert head.startswith(b"HTTP/1.1 200 ")
    lazy.wait_log(rf"tunnel .* → {target} closed, .*cannot connect")


def test_many_tunnels_at_once(proxy: Mitmdump, origin: Callable[..., Origin]) -> None:
    server = origin()
    server.route("/", Answer(body=b"x" * 1000))

    async def one() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*(one() for _ in range(100)))

    answers = asyncio.run(all_of_them())
    assert {answer.partition(b"\r\n\r\n")[2] for answer in answers} == {b"x" * 1000}


def test_an_upstream_proxy_is_asked_before_the_answer(
    mitmdump: Callable[..., Mitmdump], free_port: Callable[[], int]
) -> None:
    first = mitmdump()
    second = mitmdump(mode=f"upstream:{first.url}")
    refused = f"127.0.0.1:{free_port()}"
    sock, head = connect(second.port, refused)
    with sock:
        assert head.startswith(b"HTTP/1.1 502 ")
        assert read_all(sock).startswith(f"cannot connect to {refused}: Upstream proxy 127.0.0.1:".encode())

    def greet(sock: socket.socket) -> None:
        sock.sendall(b"220 ready\r\n")
        sock.sendall(read_all(sock).upper())

    with Peer(greet) as peer:
        sock, head = connect(second.port, f"127.0.0.1:{peer.port}")
        with sock:
            assert head.startswith(b"HTTP/1.1 200 ")
            sock.sendall(b"half a close through two proxies")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b"220 ready\r\nHALF A CLOSE THROUGH TWO PROXIES"
    nowhere = mitmdump(mode=f"upstream:http://{refused}")
    sock, head = connect(nowhere.port, "127.0.0.1:1")
    with sock:
        assert head.startswith(b"HTTP/1.1 502 ")
        assert f"cannot connect to {refused}: connection refused".encode() in read_all(sock)


class NextProxy(SocketServer):
    """Answers CONNECT as the host in its target says, then repeats what it receives."""

    interim = b"\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 103 Early Hints\r\nLink: a\r\n\r\n"
    heads: ClassVar = {
        b"opened": interim + b"HTTP/1.1 200 OK\r\n\r\n",
        b"refused": interim + b"HTTP/1.1 403 Forbidden\r\n\r\n",
        b"endless": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (1 << 20),
        b"interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    }

    def serve(self, sock: socket.socket) -> None:
        """Answer one request."""
        with contextlib.suppress(ConnectionError):
            sock.sendall(self.heads[re.split(rb"[ .]", sock.recv(65536))[1]])
            sock.sendall(read_all(sock))


def test_what_an_upstream_proxy_may_send_before_its_answer(mitmdump: Callable[..., Mitmdump]) -> None:
    with contextlib.closing(NextProxy()) as upstream:
        proxy = mitmdump(mode=f"upstream:http://127.0.0.1:{upstream.port}")
        answers = {
            name: connect(proxy.port, f"{name}.test:443") for name in ("opened", "refused", "endless", "interim")
        }
        assert {name: head.split()[1] for name, (_, head) in answers.items()} == {
            "opened": b"200",
            "refused": b"403",
            "endless": b"502",
            "interim": b"502",
        }
        opened = answers["opened"][0]
        opened.sendall(b"hello")
        opened.shutdown(socket.SHUT_WR)
        assert read_all(opened) == b"hello"
        assert b"the response head has over" in read_all(answers["endless"][0])
        assert b"interim responses" in read_all(answers["interim"][0])
        for sock, _ in answers.values():
            sock.close()
