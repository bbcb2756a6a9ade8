"""Opens and accepts the tunnel's connections, framed or bare, with time-outs and TCP keepalive."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

from proxy_policies.addresses import Address, format_target
from proxy_policies.background.tasks import Tasks
from proxy_policies.byte_streams.socket_options import reset_on_close
from proxy_policies.log_lines import Throttle
from proxy_policies.outbound import tcp_connect
from proxy_policies.outbound.name_lookup import look_up
from proxy_policies.proxy_protocol import header
from proxy_policies.reverse_tunnel.identity import Credentials
from proxy_policies.reverse_tunnel.limits import HANDSHAKE_TIMEOUT
from proxy_policies.reverse_tunnel.protocol.messages import Message, decode
from proxy_policies.reverse_tunnel.transport.framed import Framed
from proxy_policies.reverse_tunnel.transport.tls import Tls

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 8.0  # seconds; less than home waits for the service
BIND_RETRY_DELAY = 1.0  # seconds until the next attempt to listen on an address in use
HEADER_TIMEOUT = 5.0  # seconds for a load balancer's PROXY header; it sends it at once
UNAVAILABLE_ADDRESS = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)  # errors of an address that this machine lacks
ACCEPT_RETRY_DELAY = 0.1  # seconds until the next attempt to accept after an error, mostly a lack of descriptors

Accept = Callable[[socket.socket, Address], None]


class Bare(asyncio.Protocol):
    """A client or service connection, unread until it is linked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Stop reading until the relay sets its own protocol."""
        transport.pause_reading()  # type: ignore[attr-defined]
        sock = transport.get_extra_info("socket")
        keep_alive(sock)
        reset_on_close(sock)  # until the linked stream has ended in both directions


def keep_alive(sock: Any) -> None:
    """Enable TCP keepalive, for connections without our heartbeat."""
    with contextlib.suppress(OSError):  # macOS raises if the connection is already closed
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def dial_framed(address: Address, credentials: Credentials) -> Framed:
    """Return a connection to home. Raise OSError (also for TLS and time-outs), or UnicodeError for an invalid name."""
    framed = Framed()
    protocol = _secure(framed, credentials)
    async with asyncio.timeout(CONNECT_TIMEOUT):
        sock = await tcp_connect.connect(*address, timeout=CONNECT_TIMEOUT)
        await asyncio.get_running_loop().create_connection(lambda: protocol, sock=sock)
        await _handshake(protocol)
    return framed


async def wait_for_data(sock: socket.socket) -> None:
    """Wait until a peer has sent data or is gone, without using resources for TLS. If cancelled, close the socket."""
    loop, spoken = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(sock, spoken.set)
    except NotImplementedError:  # Windows
        return
    try:
        await spoken.wait()
    except BaseException:
        loop.remove_reader(sock)
        sock.close()
        raise
    loop.remove_reader(sock)


async def accept_framed(sock: socket.socket, credentials: Credentials) -> Framed:
    """Return a framed connection on an accepted socket. Raise OSError."""
    framed = Framed()
    protocol = _secure(framed, credentials, server_side=True)
    await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, sock)
    await _handshake(protocol)
    return framed


def _secure(framed: Framed, credentials: Credentials, *, server_side: bool = False) -> Framed | Tls:
    """Return the protocol for a bare transport: the framed connection, or TLS below it."""
    return Tls(credentials.context, framed, server_side=server_side) if credentials.context else framed


async def _handshake(protocol: Framed | Tls) -> None:
    if isinstance(protocol, Tls):
        await protocol.handshake(HANDSHAKE_TIMEOUT)


async def dial_bare(address: Address) -> Any:
    """Return the transport of a connection to a service. Raise as `dial_framed`."""
    sock = await tcp_connect.connect(*address, timeout=CONNECT_TIMEOUT)
    transport, _ = await asyncio.get_running_loop().create_connection(Bare, sock=sock)
    return transport


async def accept_bare(sock: socket.socket) -> Any:
    """Return the transport of an accepted client. Raise OSError."""
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(Bare, sock)
    return transport


async def read_proxy_header(sock: socket.socket, balancer: Address) -> Address:
    """Return the client in a load balancer's PROXY header; the balancer's own address if it names none.

    Raise HeaderError, EOFError or OSError.
    """
    loop = asyncio.get_running_loop()

    async def exactly(size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await loop.sock_recv(sock, size - len(data))
            if not more:
                raise EOFError("it ends in its PROXY header")
            data += more
        return data

    async with asyncio.timeout(HEADER_TIMEOUT):
        return await header.read(exactly) or balancer


async def receive(framed: Framed) -> Message:
    """Return the next message. Raise ConnectionError or ProtocolError."""
    return decode(*await framed.receive())


class Listener:
    """Accepts connections on one address until it is closed; while the address is in use, it tries again.

    `is_balancer` returns whether connections from an address begin with a PROXY header, which names the client.
    """

    def __init__(
        self, address: Address, what: str, accept: Accept, is_balancer: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.address = address
        self._what, self._accept, self._is_balancer = what, accept, is_balancer
        self._sockets: list[socket.socket] = []
        self._tasks, self._throttle, self._refusals = Tasks("tunnel"), Throttle(60.0), Throttle(60.0)

    async def open(self) -> None:
        """Start listening, at once if possible."""
        try:
            self._listen(await _bind(self.address))
        except (OSError, UnicodeError) as error:
            logger.warning(
                f"{self._what}: cannot listen on {format_target(*self.address)} yet: {tcp_connect.reason(error, None)}"
            )
            self._tasks.spawn(self._wait())

    async def close(self) -> None:
        """Stop listening; accepted connections continue."""
        await self._tasks.cancel()
        for sock in self._sockets:
            sock.close()

    async def _wait(self) -> None:
        while not self._sockets:
            await asyncio.sleep(BIND_RETRY_DELAY)
            with contextlib.suppress(OSError, UnicodeError):
                self._listen(await _bind(self.address))

    def _listen(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        for sock in sockets:
            logger.info(f"{self._what}: listening on {format_target(*sock.getsockname()[:2])}")
            self._tasks.spawn(self._accept_all(sock))

    async def _accept_all(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(listening)
            except OSError as error:
                self._log_accept_failure(error)
                await asyncio.sleep(ACCEPT_RETRY_DELAY)
                continue
            if self._is_balancer(address[0]):
                self._tasks.spawn(self._accept_from_balancer(sock, address[:2]), eager=True)
            else:
                self._accept(sock, address[:2])
            await asyncio.sleep(0)  # give other tasks their turn even if more connections are waiting

    async def _accept_from_balancer(self, sock: socket.socket, balancer: Address) -> None:
        try:
            client = await read_proxy_header(sock, balancer)
        except (header.HeaderError, EOFError, OSError) as error:
            sock.close()
            why = "no PROXY header received" if isinstance(error, TimeoutError) else str(error)
            line = f"{self._what}: {format_target(*balancer[:2])} rejected: {why}"
            if said := self._refusals.admit(line, asyncio.get_running_loop().time()):
                logger.warning(said)
        except BaseException:
            sock.close()
            raise
        else:
            self._accept(sock, client)

    def _log_accept_failure(self, error: OSError) -> None:
        why = tcp_connect.reason(error, None)
        if error.errno == errno.EMFILE:
            why += "; new connections have to wait (raise the limit: ulimit -n, or systemd's LimitNOFILE)"
        line = f"{self._what}: cannot accept on {format_target(*self.address[:2])}: {why}"
        if said := self._throttle.admit(line, asyncio.get_running_loop().time()):
            logger.warning(said)


async def _bind(address: Address) -> list[socket.socket]:
    """Return sockets listening on all addresses of the host that this machine has: `localhost` may lack IPv6."""
    found = await look_up(*address, timeout=CONNECT_TIMEOUT, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, _, _, _, where in found:
            try:
                sockets.append(_listening_socket(family, where))
            except OSError as error:
                if error.errno not in UNAVAILABLE_ADDRESS:
                    raise
                missing = error
        if missing is not None and not sockets:
            raise missing
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _listening_socket(family: int, where: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # despite connections left by a crash
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        sock.listen(1024)
    except OSError:
        sock.close()
        raise
    return sock
