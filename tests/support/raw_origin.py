"""An origin that keeps the bytes it receives, and answers with given ones; and a client that does the same."""

import re
import socket
import time

from tests.support.socket_server import SocketServer
from tests.support.sockets import reset_when_closed, wait_until_read


class RawOrigin(SocketServer):
    """Listens on a free port of 127.0.0.1. Requests for /plain always get the same response."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.trailers: list[bytes] = []
        self.answer = b""
        """The response, after which the connection ends; if empty, a plain one."""
        self.resets = False
        """End the connection with a reset."""
        self.pause = 0.0
        """Seconds before a response."""
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"

    def serve(self, sock: socket.socket) -> None:
        """Answer requests until the client leaves, or `answer` was given."""
        with sock.makefile("rb") as received:
            while head := _read_head(received):
                body, trailers = _read_body(received, head)
                self.trailers.append(trailers)
                self.bodies.append(body)
                self.heads.append(head)
                is_plain = b"/plain" in head.split(b"\r\n")[0]
                time.sleep(0 if is_plain else self.pause)
                text = b"plain answer" if is_plain else b"an answer"
                if self.answer and not is_plain:
                    sock.sendall(self.answer)
                    self._end(sock)
                    return
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))

    def _end(self, sock: socket.socket) -> None:
        if not self.resets:
            sock.shutdown(socket.SHUT_WR)
            return
        wait_until_read(sock)
        reset_when_closed(sock)


def _read_head(received: object) -> bytes:
    lines = []
    while (line := received.readline()) not in (b"", b"\r\n"):  # type: ignore[attr-defined]
        lines.append(line)
    return b"".join(lines).removesuffix(b"\r\n")


def _read_body(received: object, head: bytes) -> tuple[bytes, bytes]:
    read, readline = received.read, received.readline  # type: ignore[attr-defined]
    if b"transfer-encoding: chunked" in head.lower():
        body = b""
        while size := int(readline(), 16):
            body += read(size)
            readline()
        trailers = b""
        while (line := readline()).strip():
            trailers += line
        return body, trailers
    match = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
    return bytes(read(int(match[1]))) if match else b"", b""


def talk(port: int, *requests: bytes, quiet: float = 20.0) -> bytes:
    """Send requests to a port, each once the one before was answered, and return what was received.

    The last is answered when the connection ends or a whole response was received.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=quiet) as sock:
        got = b""
        for request in requests:
            mark = len(got)
            sock.sendall(request)
            while not _is_whole(got[mark:]):
                try:
                    data = sock.recv(65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    return got
                got += data
        return got


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    if head.startswith(b"HTTP/1.1 1"):
        return _is_whole(body)
    if b"transfer-encoding: chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    match = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
    return bool(match) and len(body) >= int(match[1] if match else 0)
