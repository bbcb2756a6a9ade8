"""Opens every upstream TCP connection of mitmproxy's.

mitmproxy itself has no connect timeout, and can resolve names only by DNS. Rewriting addresses in `server_connect`
breaks Host, SNI, verification and reuse; replacing the dial itself breaks nothing.
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.connection import Server
from mitmproxy.proxy import server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_policies.addresses import SocketAddress, format_target
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.log_lines import printable
from proxy_policies.outbound import own_listeners, tcp_connect
from proxy_policies.patch import Patch, PatchKind
from proxy_policies.settings import Setting, parse_duration

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Route = Callable[[str, int], Awaitable[Streams] | None]
"""Called with host and port; returns None if it does not handle them. The writer needs a `peername`, (host, port)."""

_routes: list[Route] = []


def add_route(route: Route) -> None:
    """Try `route` before the network from now on."""
    _routes.append(route)


def remove_route(route: Route) -> None:
    """Stop using `route`."""
    if route in _routes:
        _routes.remove(route)


async def open(
    host: str, port: int, *, timeout: float | None = None, local_addr: SocketAddress | None = None
) -> Streams:
    """Connect by the first route that handles the target, else over TCP.

    `timeout` is in seconds, including name look-up; `local_addr` is the local address. Raises only OSError, with a text
    that names the target and the reason.
    """
    return await _with_clear_error(_open(host, port, timeout, local_addr), host, port, timeout)


async def connect(
    host: str, port: int, *, timeout: float | None = None, local_addr: SocketAddress | None = None
) -> socket.socket:
    """Connect a bare, non-blocking socket over TCP, ignoring routes. Raises as `open`."""
    return await _with_clear_error(
        tcp_connect.connect(host, port, timeout=timeout, local_addr=local_addr), host, port, timeout
    )


async def _with_clear_error[Connected](
    dialling: Awaitable[Connected], host: str, port: int, timeout: float | None
) -> Connected:
    """Await; raise any failure as an OSError with a readable message."""
    try:
        async with asyncio.timeout(timeout):
            return await dialling
    except Exception as error:  # whatever a route raises: mitmproxy hangs on anything but OSError
        why = tcp_connect.reason(error, timeout)
        raise OSError(printable(f"cannot connect to {format_target(host, port)}: {why}")) from error


async def _open(host: str, port: int, timeout: float | None, local_addr: SocketAddress | None) -> Streams:
    for route in _routes:
        if (way := route(host, port)) is not None:
            return await way
    sock = await tcp_connect.connect(host, port, timeout=timeout, local_addr=local_addr)
    reader, writer = await asyncio.open_connection(sock=sock)
    if writer.get_extra_info("peername") is None:  # it is gone; mitmproxy asserts that it has one, and hangs otherwise
        writer.close()
        raise ConnectionResetError(errno.ECONNRESET, "connection reset")
    return reader, writer


def parse_timeout(text: str) -> float:
    """Parse a duration above zero; return seconds."""
    if not (seconds := parse_duration(text)):
        raise ValueError("write a duration above zero, such as 10s or 500ms")
    return seconds


class _AsyncioShim:
    """Replaces asyncio in mitmproxy's server module."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    async def open_connection(self, host: str, port: int, **how: Any) -> Streams:
        return await open(host, port, timeout=ctx.master.addons.get(Dialer.name).connect_timeout, **how)


PATCH = Patch(
    owner=server,
    attribute="asyncio",
    wrap=_AsyncioShim,
    kind=PatchKind.SEAM,
    seen_on="12.2.1 to 12.3.1",
    why="no connect timeout, and tunnel names do not resolve",
    upstream=("not reported, a feature: `curl -x` to an address that drops packets takes the kernel's two minutes"),
    remove_when="mitmproxy has a connect timeout and lets an addon dial",
    test="tests/e2e/passthrough/test_connect.py::test_a_silent_target_is_502_within_connect_timeout",
    source_sha256={"12.2.1 to 12.3.1": "5e0b3cbaf7a4030a0a044c9ca36296c2c53a874e47cd861e5d7f70a88beff951"},
    replaced=(server.ConnectionHandler.open_connection,),
)


class Dialer:
    """Opens mitmproxy's upstream connections while the addons are loaded."""

    name = "dial"
    fast_paths = NO_OBJECTION
    connect_timeout = Setting(
        "10s",
        parse_timeout,
        "Time limit for connecting to a server, name resolution included, and again for TLS with it.",
    )

    def __init__(self) -> None:
        self._undo: Callable[[], None] | None = None

    def load(self, loader: Loader) -> None:
        """Replace mitmproxy's dial."""
        self._undo = PATCH.apply()

    def done(self) -> None:
        """Restore mitmproxy's dial."""
        if self._undo is not None:
            self._undo()

    def server_connect(self, data: ServerConnectionHookData) -> Awaitable[None] | None:
        """Refuse to connect to ourselves: only HTTP has Via, and a client would come back as one of this machine."""
        server = data.server
        if server.error or server.address is None:
            return None
        own = _listening(server.transport_protocol, server.address[1])
        return _refuse_ourselves(server, own) if own else None

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Answer a failed CONNECT with the target and the reason, and nothing else.

        The connection is closed, because mitmproxy would fail every later CONNECT on it, too.
        """
        if flow.response is not None and flow.server_conn.error and flow.response.status_code == 502:
            flow.response = http.Response.make(
                502, f"{flow.server_conn.error}\n", {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"}
            )


def _listening(protocol: str, port: int) -> list[str]:
    """Return the addresses on which we listen on a port of TCP or UDP."""
    servers = ctx.master.addons.get("proxyserver").servers
    return [
        address[0]
        for it in servers
        if it.mode.transport_protocol in (protocol, "both")
        for address in it.listen_addrs
        if address[1] == port
    ]


async def _refuse_ourselves(target: Server, own: Sequence[str]) -> None:
    host, port = (target.address or ("", 0))[:2]
    if await own_listeners.reaches(host, port, own):
        target.error = f"cannot connect to {format_target(host, port)}: it is this proxy"
