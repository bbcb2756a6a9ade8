"""How connections end, in every mode and lane: whole answers with a word for it, cut ones without; halves apart."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import trustme
from tests.support.mitmdump import LANES, Mitmdump
from tests.support.openings import connect, socks5, trusting_anyone
from tests.support.socket_server import SocketServer
from tests.support.sockets import reset, wait_until_read
from tests.support.tls_ends import TlsEnd, read_to_end
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.timeout(120)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
BODY = b"x" * 5000
LARGE = b"x" * 3_000_000
"""Sent on as it comes."""
LENGTH = b"Content-Length: 5000\r\n\r\n"
FRAMES = {b"late": LENGTH, b"kept": LENGTH, b"cut-chunk": b"Transfer-Encoding: chunked\r\n\r\n1400\r\n"}
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # and its answer: RFC 6455, section 1.3
UPGRADE = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x04half"
)
End = socket.socket | TlsEnd


class EndingOrigin(SocketServer):
    """Answers one request as its path says, and ends with or without a word for it. Inside of CONNECT it speaks TLS."""

    def __init__(
        self, context: ssl.SSLContext, heard: list[tuple[bytes, bool]], halves: set[str], *, is_secure: bool
    ) -> None:
        self._context, self._heard, self._halves, self._is_secure = context, heard, halves, is_secure
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        """Answer, and end."""
        end: End = TlsEnd(sock, self._context) if self._is_secure else sock
        head = read_head(end)
        if head.startswith(b"CONNECT "):
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            end = TlsEnd(sock, self._context)
            head = read_head(end)
        while b"/first " in head:
            end.sendall(HEAD + LENGTH + BODY)
            head = read_head(end)
        if head.startswith(b"POST "):
            read_until(end, head, b"0\r\n\r\n")
        if head.startswith(b"*"):
            self._echo(end, head)
        else:
            self._answer(end, head.split(b" ")[1])

    def _answer(self, end: End, target: bytes) -> None:
        path = target.rpartition(b"/")[2]
        if path == b"late":
            time.sleep(0.3)  # the point of the test: the end of the client's half has come before
        if path == b"large":
            end.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(LARGE) + LARGE[: len(LARGE) // 2])
            wait_until(lambda: target.decode() in self._halves)
            time.sleep(0.2)  # the end of the client's half is read before the rest
            end.sendall(LARGE[len(LARGE) // 2 :])
            return
        end.sendall(SWITCHING if b"chat" in path else HEAD + FRAMES.get(path, b"\r\n") + BODY)
        if path == b"kept":
            self._heard.append((target, read_to_end(end)[1]))
        elif b"cut" in path:
            sock = end.sock if isinstance(end, TlsEnd) else end
            wait_until_read(sock)
            reset(sock)
        elif isinstance(end, TlsEnd):
            end.end_sending(with_fin=True)
        else:
            end.shutdown(socket.SHUT_WR)

    def _echo(self, end: End, said: bytes) -> None:
        """Speak another protocol: say what was said, once its end has come, and whether that was said."""
        rest, has_end = read_to_end(end)
        self._heard.append((said + rest, has_end))
        if not has_end:
            return
        end.sendall(said + rest)
        if b"cut" in said:
            end.close()
        elif isinstance(end, TlsEnd):
            end.end_sending(with_fin=True)


def read_head(end: End) -> bytes:
    return read_until(end, b"", b"\r\n\r\n")


def read_until(end: End, data: bytes, until: bytes) -> bytes:
    while until not in data:
        piece = end.recv(65536)
        if not piece:
            raise ConnectionError(data)
        data += piece
    return data


@dataclass
class Stage:
    """One proxy in many modes, before a plain and a TLS origin."""

    ports: dict[str, int]
    plain: int
    secure: int
    heard: list[tuple[bytes, bool]]
    """What was said to either, and whether its end was said."""
    halves: set[str]
    """The targets of requests whose clients have ended their half."""


@pytest.fixture(scope="module", params=LANES)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ca: trustme.CA) -> Iterator[Stage]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    heard: list[tuple[bytes, bool]] = []
    halves: set[str] = set()
    plain, secure = (EndingOrigin(context, heard, halves, is_secure=is_secure) for is_secure in (False, True))
    ports = {mode: free_port() for mode in ("regular", "reverse", "reverse TLS", "socks5", "upstream")}
    specs = {
        "regular": "regular",
        "reverse": f"reverse:http://localhost:{plain.port}",
        "reverse TLS": f"reverse:https://localhost:{secure.port}",
        "socks5": "socks5",
        "upstream": f"upstream:http://127.0.0.1:{plain.port}",
    }
    modes = [part for mode, spec in specs.items() for part in ("--mode", f"{spec}@127.0.0.1:{ports[mode]}")]
    arguments = ("--set", f"fast_lane={request.param}", "--set", "inspect_hosts=*", "--set", "ssl_insecure=true")
    running = Mitmdump([*modes[2:], *arguments], confdir=tmp_path_factory.mktemp("confdir"), mode=modes[1], wait=False)
    for port in ports.values():
        running.wait_log(rf"listening at \S*127\.0\.0\.1:{port}\b")
    yield Stage(ports, plain.port, secure.port, heard, halves)
    running.stop()
    assert "Traceback" not in running.log()
    plain.close()
    secure.close()


def dial(stage: Stage, mode: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", stage.ports[mode]), timeout=100)


def tls(sock: socket.socket) -> TlsEnd:
    return TlsEnd(sock, trusting_anyone(), "localhost")


def tunnelled(stage: Stage, mode: str, port: int) -> socket.socket:
    sock = dial(stage, mode)
    (socks5 if mode == "socks5" else connect)(sock, f"localhost:{port}")
    return sock


WAYS: dict[str, Callable[[Stage], End]] = {
    "regular": lambda stage: dial(stage, "regular"),
    "regular, to the proxy over TLS": lambda stage: tls(dial(stage, "regular")),
    "regular, CONNECT": lambda stage: tunnelled(stage, "regular", stage.plain),
    "regular, CONNECT, TLS": lambda stage: tls(tunnelled(stage, "regular", stage.secure)),
    "reverse": lambda stage: dial(stage, "reverse"),
    "reverse, over TLS": lambda stage: tls(dial(stage, "reverse")),
    "reverse to TLS": lambda stage: dial(stage, "reverse TLS"),
    "reverse to TLS, over TLS": lambda stage: tls(dial(stage, "reverse TLS")),
    "socks5": lambda stage: tunnelled(stage, "socks5", stage.plain),
    "socks5, TLS": lambda stage: tls(tunnelled(stage, "socks5", stage.secure)),
    "upstream": lambda stage: dial(stage, "upstream"),
    "upstream, CONNECT, TLS": lambda stage: tls(tunnelled(stage, "upstream", stage.secure)),
}


SECURE = ["regular, CONNECT, TLS", "socks5, TLS", "upstream, CONNECT, TLS"]


def ask(stage: Stage, way: str, path: str, version: str = "1.0", fields: str = "") -> End:
    end = WAYS[way](stage)
    is_absolute = way in ("regular", "upstream", "regular, to the proxy over TLS")
    target = f"http://localhost:{stage.plain}{path}" if is_absolute else path
    end.sendall(f"GET {target} HTTP/{version}\r\nHost: localhost:{stage.plain}\r\n{fields}\r\n".encode())
    return end


def wrong(check: Callable[[str], object], ways: Iterable[str] = WAYS) -> dict[str, object]:
    """Check every way at once, and return those of which the check does not give True, with what it gives."""
    with ThreadPoolExecutor(len(WAYS)) as pool:
        found = dict(zip(ways, pool.map(check, ways), strict=True))
    return {way: what for way, what in found.items() if what is not True}


def test_a_whole_answer_has_an_end(stage: Stage) -> None:
    def check(way: str) -> object:
        data, has_end = read_to_end(ask(stage, way, "/whole"))
        is_whole = data.endswith(BODY) and b"content-length" not in data.lower()
        return (is_whole and has_end) or (data[:300], has_end)

    assert not wrong(check)


@pytest.mark.parametrize("path", ["/cut", "/cut-chunk"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_cut_answer_has_none(stage: Stage, path: str, version: str) -> None:
    def check(way: str) -> object:
        end = ask(stage, way, path, version)
        data, has_end = read_to_end(end)
        can_tell = b"chunked" in data.lower() and not data.endswith(b"0\r\n\r\n") and not isinstance(end, TlsEnd)
        return b" 502 " in data or not has_end or can_tell or data[:300]

    assert not wrong(check)


@pytest.mark.parametrize("with_fin", [False, True], ids=["closing alert", "closing alert and FIN"])
def test_one_that_has_said_all_is_answered(stage: Stage, with_fin: bool) -> None:
    def check(way: str) -> object:
        end = ask(stage, way, "/late", "1.1")
        if isinstance(end, TlsEnd):
            end.end_sending(with_fin=with_fin)
        else:
            end.shutdown(socket.SHUT_WR)
        data, has_end = read_to_end(end)
        return (data.endswith(BODY) and has_end) or (data[:300], has_end)

    assert not wrong(check)


@pytest.mark.parametrize("with_fin", [False, True], ids=["closing alert", "closing alert and FIN"])
def test_one_that_has_said_all_in_the_middle_of_its_answer(stage: Stage, with_fin: bool) -> None:
    def check(way: str) -> object:
        path = f"/{way.replace(' ', '-')}/{with_fin}/large"
        end = ask(stage, way, path, "1.1")
        begun = b""
        while begun.count(b"x") < len(LARGE) // 2:
            begun += end.recv(1 << 20)
        if isinstance(end, TlsEnd):
            end.end_sending(with_fin=with_fin)
        else:
            end.shutdown(socket.SHUT_WR)
        stage.halves |= {path, f"http://localhost:{stage.plain}{path}"}
        data, has_end = read_to_end(end)
        return ((begun + data).endswith(LARGE) and has_end) or (len(begun), len(data), has_end)

    assert not wrong(check)


CHUNKED = b"POST /kept HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"


def test_the_end_of_a_half_is_handed_over(stage: Stage) -> None:
    """A request that mitmproxy's layers answer, whichever code has read it."""

    def check(way: str) -> object:
        end = WAYS[way](stage)
        assert isinstance(end, TlsEnd)
        end.sendall(b"GET /first HTTP/1.1\r\nHost: h\r\n\r\n")
        read_until(end, b"", BODY)
        end.sendall(CHUNKED[:9])
        time.sleep(0.2)  # the reader waits for the rest
        end.end_sending(CHUNKED[9:])
        data, has_end = read_to_end(end)
        return (data.endswith(BODY) and has_end) or (data[:300], has_end)

    assert not wrong(check, SECURE)


def test_a_connection_of_no_more_use_has_an_end(stage: Stage) -> None:
    def check(way: str) -> object:
        path = f"/{way.replace(' ', '-')}/kept"
        end = ask(stage, way, path, "1.1")
        read_until(end, b"", BODY)
        end.close()
        return wait_until(lambda: [has_end for asked, has_end in stage.heard if asked == path.encode()]) == [True]

    assert not wrong(check, [*SECURE, "reverse to TLS", "reverse to TLS, over TLS"])


@pytest.mark.parametrize("path", ["/chat-cut", "/chat"])
def test_a_websocket_that_broke_has_none(stage: Stage, path: str) -> None:
    """Whether by a reset or by an end without a closing frame."""

    def check(way: str) -> object:
        data, has_end = read_to_end(ask(stage, way, path, "1.1", UPGRADE))
        return (data.endswith(b"half") and not has_end) or (data, has_end)

    assert not wrong(check, SECURE)


BINARY = b"*\x01\x02 another protocol\r\n\r\n"


def test_halves_of_another_protocol(stage: Stage) -> None:
    def check(way: str) -> object:
        end = WAYS[way](stage)
        assert isinstance(end, TlsEnd)
        end.sendall(BINARY)
        end.sendall(b"whole")
        end.end_sending()
        got = read_to_end(end)
        return got == (BINARY + b"whole", True) or got

    assert not wrong(check, SECURE)


def test_another_protocol_that_is_cut_by_its_origin(stage: Stage) -> None:
    def check(way: str) -> object:
        end = WAYS[way](stage)
        assert isinstance(end, TlsEnd)
        end.sendall(b"*cut" + BINARY)
        end.end_sending()
        got = read_to_end(end)
        return got == (b"*cut" + BINARY, False) or got

    assert not wrong(check, SECURE)


def test_another_protocol_that_is_cut_by_its_client(stage: Stage) -> None:
    def check(way: str) -> object:
        end = WAYS[way](stage)
        assert isinstance(end, TlsEnd)
        said = BINARY.replace(b"another", way.encode())
        end.sendall(said)
        end.sock.shutdown(socket.SHUT_WR)
        return wait_until(lambda: [has_end for heard, has_end in stage.heard if heard == said]) == [False]

    assert not wrong(check, SECURE)


@pytest.mark.parametrize("alone", [1, 2])
def test_the_first_bytes_of_tls_may_come_alone(stage: Stage, alone: int) -> None:
    def check(mode: str) -> object:
        end = TlsEnd(dial(stage, mode), trusting_anyone(), "localhost", alone=alone)
        path = "/late" if mode.startswith("reverse") else f"http://localhost:{stage.plain}/late"
        end.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{stage.plain}\r\n\r\n".encode())
        return BODY in read_until(end, b"", BODY)

    assert not wrong(check, ["regular", "reverse", "reverse TLS", "upstream"])
