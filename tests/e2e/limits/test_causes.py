"""Why a download or a tunnel ended, as the access log and the log say: each cause, in each lane, by each way."""

import re
import socket
import ssl
import time
from pathlib import Path

import pytest
import trustme
from mitmproxy.io import FlowWriter
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import tflow, tutils
from tests.support.access_lines import AccessLines
from tests.support.mitmdump import Mitmdump
from tests.support.openings import connect, trusting_anyone
from tests.support.raw_origin import RawOrigin
from tests.support.socket_server import SocketServer
from tests.support.sockets import reset, reset_when_closed, wait_until_read

pytestmark = pytest.mark.timeout(120)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 999999999\r\n\r\n"
PAUSE = 0.1  # seconds between an origin's pieces
REQUEST_ERRORS = {
    "unread": r"response not read by the client for \d+ s",
    "idle": r"nothing (received from the origin|moved) for \d+ s",
    "client-reset": r"Client disconnected\.",
    "origin-reset": r"HTTP/1 protocol error: peer closed connection without sending complete message body.*",
    "SIGTERM": "the proxy has ended",
}
TUNNEL_ERRORS = {
    "idle": "nothing moved for 4 s",
    "client-reset": "the client reset the connection",
    "origin-reset": "the target reset the connection",
    "SIGTERM": "the proxy has ended",
}
"""Not for `unread`: what a tunnel carries may have to wait."""
CASES = [
    *(("GET", cause) for cause in REQUEST_ERRORS),
    *(("CONNECT", cause) for cause in TUNNEL_ERRORS),
    *(("inspected", cause) for cause in REQUEST_ERRORS),
]


class EndlessOrigin(SocketServer):
    """Begins a download, which goes on as the cause in the request line, or in a tunnel's first line, requires."""

    def serve(self, sock: socket.socket) -> None:
        """Serve one download."""
        asked = sock.recv(1000)
        sock.sendall(HEAD + b"begun" if asked.startswith(b"GET /") else b"begun")
        if b"idle" in asked:
            sock.recv(1)
        if b"origin-reset" in asked:
            wait_until_read(sock)
            reset_when_closed(sock)
            return
        pause, piece = (0, bytes(100_000)) if b"unread" in asked else (PAUSE, b"more")
        while True:
            sock.sendall(piece)
            time.sleep(pause)


def begin(proxy: Mitmdump, way: str, cause: str, plain: int, secure: int) -> socket.socket:
    """Have a download begin, and return its client's socket."""
    sock = socket.socket()
    if cause == "unread":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(100)
    sock.connect(("127.0.0.1", proxy.port))
    if way != "GET":
        connect(sock, f"localhost:{secure if way == 'inspected' else plain}")
    if way == "inspected":
        sock = trusting_anyone().wrap_socket(sock, server_hostname="localhost")
    origin = f"http://localhost:{plain}" if way == "GET" else ""
    request = f"{cause}\n" if way == "CONNECT" else f"GET {origin}/{cause} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    sock.sendall(request.encode())
    received = b""
    while b"begun" not in received:
        received += (data := sock.recv(1000))
        assert data, received
    return sock


def address_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()
    return f"{host}:{port}"


@pytest.mark.parametrize("lane", ["on", "off"])
def test_the_cause_is_named(tmp_path: Path, ca: trustme.CA, lane: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    plain, secure = EndlessOrigin(), EndlessOrigin(context)
    options = (
        f"access_log={tmp_path / 'access.log'}",
        f"fast_lane={lane}",
        f"inspect_hosts=localhost:{secure.port}",
        "ssl_insecure=true",
        "send_timeout=1",
        "tcp_timeout=4",
        "grace_period=0s",
    )
    proxy = Mitmdump([part for option in options for part in ("--set", option)], confdir=tmp_path)
    lines = AccessLines(tmp_path / "access.log")
    clients: dict[str, tuple[str, str]] = {}
    opened, logged = [], []
    for is_last in (False, True):
        cases = [case for case in CASES if (case[1] == "SIGTERM") is is_last]
        for way, cause in cases:
            sock = begin(proxy, way, cause, plain.port, secure.port)
            clients[address_of(sock)] = (way, cause)
            if cause == "client-reset":
                reset(socket.socket(fileno=sock.detach()))
            opened.append(sock)
        if is_last:
            assert proxy.stop() == 0
        logged += lines.take(len(cases) + sum(way == "inspected" for way, _ in cases))  # whose CONNECTs have lines, too
    for line in logged:
        way, cause = clients[line["client"]]
        expected = REQUEST_ERRORS if line["type"] == "request" else TUNNEL_ERRORS
        if way == "inspected" and line["type"] == "tunnel":
            assert line["error"] is None or re.fullmatch(REQUEST_ERRORS[cause], line["error"]), line
        else:
            assert re.fullmatch(expected[cause], str(line["error"])), line
    assert proxy.log().count("<< the proxy has ended") == 2
    assert re.search(r"tunnel .* closed, .*: the proxy has ended\n", proxy.log())
    plain.close()
    secure.close()


@pytest.mark.parametrize("ended_by_us", [None, "the proxy has ended"])
def test_a_flow_that_is_sent_again_has_no_client_to_blame(tmp_path: Path, ended_by_us: str | None) -> None:
    flow, next_proxy = tflow.tflow(req=tutils.treq(scheme=b"https", port=443)), RawOrigin()
    next_proxy.answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    mode = f"upstream:{next_proxy.url}"
    flow.client_conn.error, flow.client_conn.proxy_mode = ended_by_us, ProxyMode.parse(mode)
    with (tmp_path / "flows").open("wb") as file:
        FlowWriter(file).add(flow)
    proxy = Mitmdump(["-n", "-C", str(tmp_path / "flows")], mode=mode, confdir=tmp_path, wait=False)
    assert proxy.wait_exit(60) == 0
    assert re.search(r"<< .*refused HTTP CONNECT request: 403 Forbidden", proxy.log())
    next_proxy.close()
