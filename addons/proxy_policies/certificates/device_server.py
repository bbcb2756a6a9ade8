"""Serves the page for devices, until it is interrupted: `proxy-policies certs serve`."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ipaddress
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from tornado import web

from proxy_policies import page_server
from proxy_policies.start_up import requirements

SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""An address for documentation (RFC 5737, RFC 3849), by which the kernel tells ours; nothing is sent to it."""
MAX_BODY = 16384
"""Octets of a request's body: nobody has anything to say here."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class File:
    """What is served under a path."""

    media_type: str
    content: bytes


class _Handler(web.RequestHandler):
    def initialize(self, file: File) -> None:
        """Take what is served."""
        self._file = file

    def set_default_headers(self) -> None:
        """Say nothing of who serves it, and let nothing else in."""
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def get(self) -> None:
        """Give it."""
        self.set_header("Content-Type", self._file.media_type)
        self.finish(self._file.content)

    head = get


def bind(host: str, port: int) -> list[socket.socket]:
    """Listen on an address; raises ValueError where that cannot be."""
    try:
        return page_server.bind(host, port)
    except OSError as error:
        raise ValueError(f"{host}, port {port}: {error.strerror}") from None


def url_of(sockets: list[socket.socket]) -> str:
    """Return the URL by which others reach what listens; of all addresses, that of the way to everywhere."""
    host, port = sockets[0].getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = next(filter(None, map(_own_address, (one.family for one in sockets))), host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _own_address(family: int) -> str:
    with socket.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect((SOMEWHERE[socket.AddressFamily(family)], 9))
        return str(probe.getsockname()[0])
    return ""


def is_local(url: str) -> bool:
    """Return whether a URL of `url_of` leads nowhere but to this machine, on this machine."""
    return ipaddress.ip_address(url.removeprefix("http://").rpartition(":")[0].strip("[]")).is_loopback


async def serve(sockets: list[socket.socket], files: Mapping[str, File]) -> None:
    """Serve files by their paths until SIGINT or SIGTERM."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    routes = [(path.replace(".", r"\."), _Handler, {"file": file}) for path, file in files.items()]
    server = page_server.PageServer(sockets, web.Application(routes, log_function=lambda _: None), MAX_BODY)
    server.start()
    await stopping.wait()
    await server.close()


def qr_code(url: str) -> tuple[str, str]:
    """Return a QR code as an SVG and for a terminal; raises ValueError with how to get what makes one."""
    try:
        import segno
    except ImportError:
        raise ValueError(f"a QR code needs segno: {requirements.install_command(['segno'])}") from None
    code = segno.make_qr(url)
    written = io.StringIO()
    code.terminal(written, compact=True)
    return code.svg_inline(omitsize=True), written.getvalue()
