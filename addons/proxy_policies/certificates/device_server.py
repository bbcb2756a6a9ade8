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

from proxy_policies.start_up import requirements
from proxy_policies.web_pages import page_server

SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation (RFC 5737, RFC 3849), to learn ours from the kernel; nothing is sent to them."""
MAX_BODY = 16384
"""Bytes of a request's body; none is needed."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class ServedFile:
    """The content served under a path."""

    media_type: str
    content: bytes


class _Handler(web.RequestHandler):
    def initialize(self, file: ServedFile) -> None:
        """Initialize with the served file."""
        self._file = file

    def set_default_headers(self) -> None:
        """Set the fields that each response has."""
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def get(self) -> None:
        """Send the file."""
        self.set_header("Content-Type", self._file.media_type)
        self.finish(self._file.content)

    head = get


def bind(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on an address. Raise ValueError."""
    try:
        return page_server.bind(host, port)
    except OSError as error:
        raise ValueError(f"{host}, port {port}: {error.strerror}") from None


def url_of(sockets: list[socket.socket]) -> str:
    """Return the URL of the listening sockets; if they listen on all addresses, with that of the default route."""
    host, port = sockets[0].getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = next(filter(None, map(_own_address, (one.family for one in sockets))), host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _own_address(family: int) -> str:
    with socket.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect((SOMEWHERE[socket.AddressFamily(family)], 9))
        return str(probe.getsockname()[0])
    return ""


async def serve(sockets: list[socket.socket], files: Mapping[str, ServedFile]) -> None:
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
    """Return a QR code as SVG, and as text for a terminal. Raise ValueError if the package for it is missing."""
    try:
        import segno
    except ImportError:
        raise ValueError(f"a QR code needs segno: {requirements.install_command(['segno'])}") from None
    code = segno.make_qr(url)
    written = io.StringIO()
    code.terminal(written, compact=True)
    return code.svg_inline(omitsize=True), written.getvalue()
