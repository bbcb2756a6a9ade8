"""Bodies too large for memory: an origin that generates and counts them, and how much memory a process takes."""

import re
import socketserver
import ssl
import threading
from pathlib import Path
from typing import Any

from tests.support.origin_server import OriginServer

BLOCK = b"All work and no play makes a proxy a dull host, says line after line.\n" * 15000
"""About 1 MiB of text that compresses well."""


class Bulk:
    """Answers `GET /<bytes>` with that many bytes, chunked if the path ends in `/chunked`, and PUT with the count."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        bulk = self
        self.received = 0
        """Bytes of the last complete upload."""
        self.arrived = 0
        """Bytes of uploads so far."""
        self.tls = tls

        class Connection(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                try:
                    while _serve(bulk, self.rfile, self.wfile):
                        pass
                except (OSError, ValueError):
                    return

        self.server = OriginServer(Connection, tls)
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """The origin's base URL, without a slash at its end."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


def _serve(bulk: Bulk, rfile: Any, wfile: Any) -> bool:
    method, target, _ = rfile.readline().decode().split(" ")
    fields = {}
    while line := rfile.readline().decode().strip():
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    if method == "PUT":
        bulk.received = _drain(bulk, rfile, fields)
        wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d" % (len(str(bulk.received)), bulk.received))
    else:
        _, size, *how = target.split("/")
        _answer(wfile, int(size), "chunked" in how)
    return True


def _drain(bulk: Bulk, rfile: Any, fields: dict[str, str]) -> int:
    if "chunked" not in fields.get("transfer-encoding", ""):
        return _skip(bulk, rfile, int(fields["content-length"]))
    received = 0
    while size := int(rfile.readline(), 16):
        received += _skip(bulk, rfile, size)
        rfile.readline()
    rfile.readline()
    return received


def _skip(bulk: Bulk, rfile: Any, size: int) -> int:
    left = size
    while left:
        got = len(rfile.read1(min(left, 1 << 20)))
        if not got:
            raise ValueError("the upload broke off")
        left -= got
        bulk.arrived += got
    return size


def _answer(wfile: Any, size: int, chunked: bool) -> None:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: max-age=60\r\n%s\r\n\r\n" % framing)
    left = size
    while left:
        block = BLOCK[: min(left, len(BLOCK))]
        wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
        left -= len(block)
    if chunked:
        wfile.write(b"0\r\n\r\n")


class Memory:
    """A process's resident memory from now on (Linux)."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        self._folder.joinpath("clear_refs").write_text("5")
        self._start = self._read("VmRSS")

    def growth(self) -> int:
        """Return by how many bytes its peak was above its initial size."""
        return self._read("VmHWM") - self._start

    def _read(self, name: str) -> int:
        match = re.search(rf"{name}:\s+(\d+) kB", self._folder.joinpath("status").read_text())
        assert match
        return int(match[1]) * 1024
