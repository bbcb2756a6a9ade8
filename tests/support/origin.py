"""A small scriptable HTTP/1.1 origin that keeps the requests it receives, with their fields byte for byte."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.support.origin_server import OriginServer


@dataclass
class Received:
    """A request as it arrived."""

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """Return a field's lines joined, None if absent."""
        lines = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(lines) if lines else None


@dataclass
class Answer:
    """A response. A body that is not bytes is sent chunked, piece by piece; `raw` is sent as it is."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Iterable[bytes] = b"hello from the origin\n"
    reason: str = "Whatever"
    version: str = "HTTP/1.1"
    close: bool = False
    raw: bytes | Iterable[bytes] | None = None


Handler = Callable[[Received], Answer]


class Origin:
    """Listens on a free port of 127.0.0.1; `route` sets the responses."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.routes: dict[str, Handler] = {}
        self.tls = tls
        origin = self

        class Connection(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                origin.connections += 1
                try:
                    while origin._serve(self.rfile, self.wfile):
                        pass
                except (OSError, ValueError):
                    return

        self.server = OriginServer(Connection, tls)
        self.port = int(self.server.server_address[1])
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def accepted(self) -> int:
        """Connections so far, counted before anything is read."""
        return self.server.accepted

    @property
    def url(self) -> str:
        """The origin's base URL, without a slash at its end."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def route(self, path: str, answer: Answer | Handler) -> None:
        """Set the response, or a function of the request that returns it, for targets that begin with `path`.

        If several paths match, the longest is used.
        """
        self.routes[path] = answer if callable(answer) else lambda _: answer

    def _serve(self, rfile: Any, wfile: Any) -> bool:
        request = _read_request(rfile)
        if request is None:
            return False
        self.requests.append(request)
        best = max((p for p in self.routes if request.target.startswith(p)), key=len, default=None)
        answer = self.routes[best](request) if best is not None else Answer()
        _send(wfile, request, answer)
        return not (
            answer.close or answer.version == "HTTP/1.0" or "close" in (request.get("connection") or "").lower()
        )

    def close(self) -> None:
        """Stop listening; open connections stay open."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(100)


def _read_request(rfile: Any) -> Received | None:
    line = rfile.readline(65537).decode("latin-1").rstrip("\r\n")
    if not line:
        return None
    method, target, version = line.split(" ")
    if not version.startswith("HTTP/"):  # a ClientHello may have a line of three words, by chance
        return None
    headers = []
    while text := rfile.readline(65537).decode("latin-1").rstrip("\r\n"):
        name, _, value = text.partition(":")
        headers.append((name, value.strip()))
    request = Received(method, target, version, headers)
    request.body = _read_body(rfile, request)
    return request


def _read_body(rfile: Any, request: Received) -> bytes:
    if "chunked" not in (request.get("transfer-encoding") or "").lower():
        return bytes(rfile.read(int(request.get("content-length") or 0)))
    body = b""
    while size := int(rfile.readline().split(b";")[0], 16):
        body += rfile.read(size)
        rfile.readline()
    while text := rfile.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = text.partition(":")
        request.trailers.append((name, value.strip()))
    return body


def _send(wfile: Any, request: Received, answer: Answer) -> None:
    if answer.raw is not None:
        for piece in [answer.raw] if isinstance(answer.raw, bytes) else answer.raw:
            wfile.write(piece)
        return
    names = {name.lower() for name, _ in answer.headers}
    head = f"{answer.version} {answer.status} {answer.reason}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
    bodyless = request.method == "HEAD" or answer.status in (204, 304) or answer.status < 200
    if isinstance(answer.body, bytes):
        if (
            not names & {"content-length", "transfer-encoding"}
            and answer.status not in (204, 304)
            and answer.status >= 200
        ):
            head += f"Content-Length: {len(answer.body)}\r\n"
        wfile.write((head + "\r\n").encode("latin-1") + (b"" if bodyless else answer.body))
        return
    wfile.write((head + "Transfer-Encoding: chunked\r\n\r\n").encode("latin-1"))
    if bodyless:
        return
    for piece in answer.body:
        wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    wfile.write(b"0\r\n\r\n")


def exchange_raw(port: int, data: bytes, eof: bool = False) -> bytes:
    """Send bytes to a port of 127.0.0.1 and return everything received until it closes. Raise TimeoutError."""
    with socket.create_connection(("127.0.0.1", port), timeout=100) as sock:
        received = b""
        try:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it was answered before all was sent
                sock.sendall(data)
                if eof:
                    sock.shutdown(socket.SHUT_WR)
            while chunk := sock.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
        return received
