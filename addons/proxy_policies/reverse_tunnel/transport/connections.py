"""Opens and accepts the tunnel's connections: bound in time, kept alive by the kernel too, framed or bare."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

from proxy_policies.addresses import Address, format_target
from proxy_policies.background import Tasks
from proxy_policies.log_lines import Throttle
from proxy_policies.outbound import tcp_connect
from proxy_policies.outbound.name_lookup import look_up
from proxy_policies.proxy_protocol import header
from proxy_policies.reverse_tunnel.identity import Credentials
from proxy_policies.reverse_tunnel.limits import HANDSHAKE_TIMEOUT
from proxy_policies.reverse_tunnel.protocol.messages import Message, decode
from proxy_policies.reverse_tunnel.transport.framed import Framed
from proxy_policies.reverse_tunnel.transport.tls import Tls
from proxy_policies.socket_options import reset_on_close

logger = logging.getLogger(__name__)

CONNECT_WITHIN = 8.0  # seconds; less than home waits for the whole of it
BIND_AGAIN = 1.0  # seconds until the next try to listen where somebody else does
HEADER_WITHIN = 5.0  # seconds that a load balancer has for its PROXY header; it sends it at once
NOT_HERE = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)  # of an address: as asyncio has it, bpo-30945
ACCEPT_AGAIN = 0.1  # seconds until the next try to accept when that failed: mostly for want of descriptors

Accept = Callable[[socket.socket, Address], None]


class Bare(asyncio.Protocol):
    """A client or service connection, unread until it is linked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait: the relay takes over with a protocol of its own."""
        transport.pause_reading()  # type: ignore[attr-defined]
        sock = transport.get_extra_info("socket")
        keep_alive(sock)
        reset_on_close(sock)  # until it is linked, and the stream has ended both ways


def keep_alive(sock: Any) -> None:
    """Let the kernel notice a dead path, for connections that have no heartbeat of ours."""
    with contextlib.suppress(OSError):  # gone already, which macOS says here
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def dial_framed(address: Address, credentials: Credentials) -> Framed:
    """Connect to home. Raises OSError (TLS's errors and time-outs are some), UnicodeError for a name that cannot be."""
    framed = Framed()
    protocol = _secure(framed, credentials)
    async with asyncio.timeout(CONNECT_WITHIN):
        sock = await tcp_connect.connect(*address, timeout=CONNECT_WITHIN)
        await asyncio.get_running_loop().create_connection(lambda: protocol, sock=sock)
        await _handshake(protocol)
    return framed


async def spoken_on(sock: socket.socket) -> None:
    """Wait until a peer has said something, or is gone; it costs little as long. Closes the socket when cancelled."""
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
    """Take an accepted connection as a framed one. Raises OSError."""
    framed = Framed()
    protocol = _secure(framed, credentials, server_side=True)
    await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, sock)
    await _handshake(protocol)
    return framed


def _secure(framed: Framed, credentials: Credentials, *, server_side: bool = False) -> Framed | Tls:
    """Return what a bare transport is to talk to: the framed connection, or TLS below it."""
    return Tls(credentials.context, framed, server_side=server_side) if credentials.context else framed


async def _handshake(protocol: Framed | Tls) -> None:
    if isinstance(protocol, Tls):
        await protocol.handshake(HANDSHAKE_TIMEOUT)


async def dial_bare(address: Address) -> Any:
    """Connect to a service; returns its transport. Raises as `dial_framed`."""
    sock = await tcp_connect.connect(*address, timeout=CONNECT_WITHIN)
    transport, _ = await asyncio.get_running_loop().create_connection(Bare, sock=sock)
    return transport


async def accept_bare(sock: socket.socket) -> Any:
    """Take an accepted client; returns its transport. Raises OSError."""
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(Bare, sock)
    return transport


async def introduced(sock: socket.socket, balancer: Address) -> Address:
    """Return whom a load balancer's connection is from: whom its PROXY header names, or the balancer's own.

    Raises HeaderError, EOFError, OSError.
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

    async with asyncio.timeout(HEADER_WITHIN):
        return await header.read(exactly) or balancer


async def receive(framed: Framed) -> Message:
    """Wait for the next message. Raises ConnectionError, ProtocolError."""
    return decode(*await framed.receive())


class Listener:
    """Accepts connections at one address until it is closed; where somebody else listens it waits its turn.

    A connection from where `is_balancer` says so is from whom its PROXY header names.
    """

    def __init__(
        self, address: Address, what: str, accept: Accept, is_balancer: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.address = address
        self._what, self._accept, self._is_balancer = what, accept, is_balancer
        self._sockets: list[socket.socket] = []
        self._tasks, self._throttle, self._refusals = Tasks("tunnel"), Throttle(60.0), Throttle(60.0)

    async def open(self) -> None:
        """Start to listen, at once if that is possible."""
        try:
            self._listen(await _bind(self.address))
        except (OSError, UnicodeError) as error:
            logger.warning(
                f"{self._what}: cannot listen on {format_target(*self.address)} yet: {tcp_connect.reason(error, None)}"
            )
            self._tasks.spawn(self._wait())

    async def close(self) -> None:
        """Listen no more; connections that were accepted live on."""
        await self._tasks.cancel()
        for sock in self._sockets:
            sock.close()

    async def _wait(self) -> None:
        while not self._sockets:
            await asyncio.sleep(BIND_AGAIN)
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
                self._tell_of_failure(error)
                await asyncio.sleep(ACCEPT_AGAIN)
                continue
            if self._is_balancer(address[0]):
                self._tasks.spawn(self._introduce(sock, address[:2]), eager=True)
            else:
                self._accept(sock, address[:2])
            await asyncio.sleep(0)  # where the next is there already nothing else would have its turn

    async def _introduce(self, sock: socket.socket, balancer: Address) -> None:
        try:
            client = await introduced(sock, balancer)
        except (header.HeaderError, EOFError, OSError) as error:
            sock.close()
            why = "no PROXY header came" if isinstance(error, TimeoutError) else str(error)
            line = f"{self._what}: {format_target(*balancer[:2])} rejected: {why}"
            if said := self._refusals.admit(line, asyncio.get_running_loop().time()):
                logger.warning(said)
        except BaseException:
            sock.close()
            raise
        else:
            self._accept(sock, client)

    def _tell_of_failure(self, error: OSError) -> None:
        why = tcp_connect.reason(error, None)
        if error.errno == errno.EMFILE:
            why += "; new connections have to wait (raise the limit: ulimit -n, or systemd's LimitNOFILE)"
        line = f"{self._what}: cannot accept on {format_target(*self.address[:2])}: {why}"
        if said := self._throttle.admit(line, asyncio.get_running_loop().time()):
            logger.warning(said)


async def _bind(address: Address) -> list[socket.socket]:
    """Listen on every address that the host stands for and this machine has: `localhost` where there is no IPv6."""
    found = await look_up(*address, timeout=CONNECT_WITHIN, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, _, _, _, where in found:
            try:
                sockets.append(_listening_socket(family, where))
            except OSError as error:
                if error.errno not in NOT_HERE:
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
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a crash leaves nothing that is in the way
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        sock.listen(1024)
    except OSError:
        sock.close()
        raise
    return sock
