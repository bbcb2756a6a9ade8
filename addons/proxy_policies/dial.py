"""The one way out: every upstream TCP connection that mitmproxy opens is opened here.

mitmproxy itself has no connect timeout, and no way to reach a name by anything
but DNS. Rewriting addresses in `server_connect` breaks Host, SNI, verification and
reuse; replacing the dial itself breaks nothing.
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from mitmproxy import http
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy import server

from proxy_policies.addresses import format_target, is_address
from proxy_policies.later import later
from proxy_policies.patches.patch import Patch
from proxy_policies.settings import Setting, parse_duration

with later():
    import aiohappyeyeballs

Address = tuple[Any, ...]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Route = Callable[[str, int], Awaitable[Streams] | None]
"""Asked with host and port. None: not mine. The writer must know its `peername`, a (host, port)."""

NEXT_ADDRESS = 0.25
"""Seconds that an address of several has before the next is tried beside it (RFC 8305, section 5)."""

_routes: list[Route] = []


def add_route(route: Route) -> None:
    """Ask `route` before the network, from now on."""
    _routes.append(route)


def remove_route(route: Route) -> None:
    """Ask `route` no more."""
    if route in _routes:
        _routes.remove(route)


async def open(host: str, port: int, *, timeout: float | None = None, local_addr: Address | None = None) -> Streams:
    """Connect by the first route that knows the way, else over TCP.

    `timeout` is in seconds, name look-up included; `local_addr` is what to connect from. Raises OSError only, with a
    text that names the target and the reason.
    """
    return await _told(_open(host, port, local_addr), host, port, timeout)


async def connect(host: str, port: int, *, timeout: float | None = None) -> socket.socket:
    """Connect a bare, non-blocking socket over TCP, whatever the routes say. Raises as `open`."""
    return await _told(_connect(host, port, None), host, port, timeout)


async def _told[Dialled](dialling: Awaitable[Dialled], host: str, port: int, timeout: float | None) -> Dialled:
    """Await, and make an OSError that tells the story of whatever goes wrong."""
    try:
        async with asyncio.timeout(timeout):
            return await dialling
    except Exception as error:  # whatever a route raises: mitmproxy expects OSError, and hangs on all else
        raise OSError(f"cannot connect to {format_target(host, port)}: {reason(error, timeout)}") from error


async def _open(host: str, port: int, local_addr: Address | None) -> Streams:
    for route in _routes:
        if (way := route(host, port)) is not None:
            return await way
    return await asyncio.open_connection(sock=await _connect(host, port, local_addr))


async def _connect(host: str, port: int, local_addr: Address | None) -> socket.socket:
    if local_addr is None and "%" not in host and is_address(host):
        return await _connect_to(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, port))
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if local_addr is None and len(found) == 1:
        return await _connect_to(found[0][0], found[0][4])
    ours = await loop.getaddrinfo(*local_addr[:2]) if local_addr else None
    # asyncio's own happy_eyeballs_delay fails an assertion on Python 3.13.0 with mitmproxy's eager tasks
    return await aiohappyeyeballs.start_connection(found, local_addr_infos=ours, happy_eyeballs_delay=NEXT_ADDRESS)


async def _connect_to(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


_REASONS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ETIMEDOUT: "no answer",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ECONNRESET: "connection reset",
    errno.EMFILE: "too many open connections",
}


def reason(error: BaseException, timeout: float | None) -> str:
    """Say in plain words why a dial failed; `timeout` is what was granted, in seconds."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(reason(leaf, timeout) for leaf in _leaves(error)))
    if isinstance(error, socket.gaierror):
        is_later = error.errno == socket.EAI_AGAIN
        return "the name server does not answer" if is_later else "the name does not resolve"
    if isinstance(error, TimeoutError) and error.errno is None:
        return f"no answer within {timeout or 0:g} s"
    if isinstance(error, OSError):
        return _REASONS.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__
    if isinstance(error, UnicodeError | OverflowError):
        return "not a valid name or port"
    return str(error) or type(error).__name__


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def parse_timeout(text: str) -> float:
    """Read a duration that is not zero, in seconds."""
    if not (seconds := parse_duration(text)):
        raise ValueError("write a duration above zero, such as 10s or 500ms")
    return seconds


class _Asyncio:
    """Stands where mitmproxy's server looks for asyncio."""

    def __init__(self, policy: "Dial") -> None:
        self._policy = policy

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def open_connection(self, host: str, port: int, **how: Any) -> Streams:
        return await open(host, port, timeout=self._policy.connect_timeout, **how)


class Dial:
    """Stands between mitmproxy and the network while the addons are loaded."""

    name = "dial"
    connect_timeout = Setting("10s", parse_timeout, "How long a dial may take, the name look-up included.")

    def __init__(self) -> None:
        self._undo: Callable[[], None] | None = None

    def load(self, loader: Loader) -> None:
        """Take the dial over."""
        seam = Patch(
            owner=server,
            attribute="asyncio",
            wrap=lambda _: _Asyncio(self),
            versions="12.2",
            why="no connect timeout, and tunnel names do not resolve",
        )
        self._undo = seam.apply()

    def done(self) -> None:
        """Give the dial back."""
        if self._undo is not None:
            self._undo()

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Tell a client whose CONNECT failed the target and the reason, and nothing else.

        The connection ends with it: mitmproxy would fail every later CONNECT on it too.
        """
        if flow.response is not None and flow.server_conn.error and flow.response.status_code == 502:
            flow.response = http.Response.make(
                502, f"{flow.server_conn.error}\n", {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"}
            )
