"""An answer that was cut short is passed on as cut and never stored: every framing, mode, lane and client version."""

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.home_and_works import HomeAndWorks
from tests.support.mitmdump import Both, Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.raw_origin import RawOrigin
from tests.support.socket_server import SocketServer

HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Type: text/plain\r\n"
CUT = {
    "to the end of the connection, reset": (HEAD + b"\r\n" + b"x" * 5000, True),
    "HTTP/1.0, reset": (HEAD.replace(b"1.1", b"1.0") + b"\r\n" + b"x" * 5000, True),
    "a length, end": (HEAD + b"Content-Length: 6000\r\n\r\n" + b"x" * 5000, False),
    "a length, reset": (HEAD + b"Content-Length: 6000\r\n\r\n" + b"x" * 5000, True),
    "no last chunk, end": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", False),
    "no last chunk, reset": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", True),
    "half a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", False),
    "no end of the trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n", False),
}
BROKEN = {
    **dict.fromkeys((b"XX0\r\n\r\n", b"no\r\n0\r\n\r\n", b"\r\n\r\n\r\n", b"\r\nx\r\n", b"\r\n-1\r\n0\r\n\r\n"), b""),
    **dict.fromkeys((b"\r\n0\r\nX T: 1\r\n\r\n", b"\r\n0\r\n X: y\r\n\r\n"), b""),
    b'\r\n2;a="\r\n"\r\nno\r\n0\r\n\r\n': b'"\r',
}
"""What cannot follow the two bytes of a chunk, and what of it is valid still."""
WHOLE = HEAD + b"\r\n" + b"x" * 5000


def got_whole(port: int, target: str, version: str = "1.1", host: str = "h") -> bool:
    """Ask, and return whether what came looks whole to a client: an answer of the proxy's own does not count."""
    with socket.create_connection(("127.0.0.1", port), timeout=100) as sock:
        sock.sendall(f"GET {target} HTTP/{version}\r\nHost: {host}\r\n\r\n".encode())
        data, was_reset = b"", False
        try:
            while chunk := sock.recv(65536):
                data += chunk
                if _ends_itself(data):
                    break
        except ConnectionResetError:
            was_reset = True
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        assert b" 502 " in head or was_reset, data[:200]
        return False
    if b"content-length:" in head.lower() or b"chunked" in head.lower():
        return _ends_itself(data)
    return bool(body) and not was_reset


def _ends_itself(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if length := re.search(rb"content-length: (\d+)", head.lower()):
        return len(body) >= int(length[1])
    return bool(end) and b"chunked" in head.lower() and body.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("mode", ["regular", "reverse"])
def test_a_cut_answer_is_cut_and_not_stored(both: Both, raw_origin: RawOrigin, mode: str) -> None:
    base = raw_origin.url if mode == "regular" else ""
    wrong = []
    for number, (name, (answer, resets)) in enumerate(CUT.items()):
        for version in ("1.1", "1.0"):
            raw_origin.answer, raw_origin.resets = answer, resets
            target = f"{base}/{mode}{number}v{version}"
            asked = len(raw_origin.heads)
            for _ in range(2):
                if got_whole(both.ports[mode], target, version, f"127.0.0.1:{raw_origin.port}"):
                    wrong.append(f"{name}, HTTP/{version} client: whole")
            if len(raw_origin.heads) != asked + 2:
                wrong.append(f"{name}, HTTP/{version} client: it was stored")
    raw_origin.answer, raw_origin.resets = WHOLE, False
    for version in ("1.1", "1.0"):
        assert got_whole(both.ports[mode], f"{base}/whole{mode}{version}", version, f"127.0.0.1:{raw_origin.port}")
    assert not wrong


def test_what_came_before_a_break_is_sent(both: Both, raw_origin: RawOrigin) -> None:
    """In every lane the same: the good chunks, no end, and nothing is stored."""
    raw_origin.resets, asked = False, len(raw_origin.heads)
    got = []
    for number, broken in enumerate(BROKEN):
        raw_origin.answer = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok" + broken
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", both.ports["reverse"]), timeout=100) as sock:
                sock.sendall(b"GET /broken%d HTTP/1.1\r\nHost: h\r\n\r\n" % number)
                head, _, body = b"".join(iter(partial(sock.recv, 65536), b"")).partition(b"\r\n\r\n")
            assert (head[:15], _ends_itself(head + b"\r\n\r\n" + body)) == (b"HTTP/1.1 200 OK", False), broken
            got.append(re.sub(rb"[1-9]\r\n(.{1,9}?)\r\n(?=[1-9]|$)", rb"\1", body, flags=re.DOTALL))
    assert got == [b"ok" + more for more in BROKEN.values() for _ in range(2)]
    assert len(raw_origin.heads) == asked + 2 * len(BROKEN)


def test_through_home_and_work(tmp_path: Path, raw_origin: RawOrigin) -> None:
    pair = HomeAndWorks(tmp_path, script="policy.py")
    try:
        pair.start_work({"wiki": raw_origin.port})
        for version in ("1.1", "1.0"):
            raw_origin.answer, raw_origin.resets = CUT["to the end of the connection, reset"]
            asked = len(raw_origin.heads)
            for _ in range(2):
                assert not got_whole(pair.home.port, "http://wiki.office.internal/cut", version, "wiki.office.internal")
            assert len(raw_origin.heads) == asked + 2
        raw_origin.answer, raw_origin.resets = WHOLE, False
        assert got_whole(pair.home.port, "http://wiki.office.internal/whole", "1.0", "wiki.office.internal")
    finally:
        pair.close()


class TlsOrigin(SocketServer):
    """Answers over TLS without a length, and ends with a closing alert, or without."""

    says_goodbye = False
    asked = 0

    def serve(self, sock: socket.socket) -> None:
        """Answer one request."""
        assert isinstance(sock, ssl.SSLSocket)
        while b"\r\n\r\n" not in sock.recv(65536):
            pass
        self.asked += 1
        sock.sendall(WHOLE)
        if self.says_goodbye:
            sock.settimeout(100)
            sock.unwrap().close()
        else:
            sock.shutdown(socket.SHUT_RDWR)


def test_tls_without_its_closing_alert(
    mitmdump: Callable[..., Mitmdump], server_tls: ssl.SSLContext, curl: Any
) -> None:
    server = TlsOrigin(server_tls)
    proxy = mitmdump("--set", "ssl_insecure=true", "--set", "connection_strategy=lazy", "--set", "inspect_hosts=*")
    through = ("-x", proxy.url, "--cacert", str(proxy.ca))
    try:
        for http in ("--http1.1", "--http1.0", "--http2"):
            server.says_goodbye = False
            asked = server.asked
            for _ in range(2):
                assert curl(*through, http, f"https://localhost:{server.port}/cut{http}").code != 0, http
            assert server.asked == asked + 2
        server.says_goodbye = True
        assert curl(*through, "--http2", f"https://localhost:{server.port}/whole").code == 0
    finally:
        server.close()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_a_proxy_that_is_killed_ends_nothing(
    mitmdump: Callable[..., Mitmdump], origin_server: Origin, secure: bool
) -> None:
    """A body that ends with its connection, as HTTP/1.0 clients get them, when the process is gone at once."""
    over = threading.Event()

    def unending() -> Iterator[bytes]:
        yield HEAD + b"\r\nhalf of it"
        over.wait(60)

    origin_server.route("/", lambda _: Answer(raw=unending()))
    proxy = mitmdump("--set", "stream_large_bodies=1", mode=f"reverse:{origin_server.url}")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as plain:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(plain) if secure else plain
        sock.sendall(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")
        data = b""
        while b"half of it" not in data:
            data += sock.recv(65536)
        proxy.process.kill()
        with pytest.raises(OSError, match=r"reset|EOF occurred"):
            assert sock.recv(65536)
        sock.close()
    over.set()


@pytest.fixture
def origin_server() -> Iterator[Origin]:
    running = Origin()
    yield running
    running.close()
