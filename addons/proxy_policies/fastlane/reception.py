"""Where a regular proxy's clients come in, and what they say first is heard before mitmproxy makes anything of them.

Whoever is not served here goes on to mitmproxy, with every byte in its place, as if its server had accepted the
connection itself. Tried on mitmproxy 12.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import socket
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol
from weakref import WeakSet

from mitmproxy import ctx
from mitmproxy.proxy.mode_specs import ProxyMode

from proxy_policies.fastlane import caller as callers
from proxy_policies.fastlane.caller import Caller
from proxy_policies.lazy_imports import lazy_imports

with lazy_imports():
    from proxy_policies.proxy_protocol import header

logger = logging.getLogger(__name__)

READ = 65535  # bytes at once, as mitmproxy
BACKLOG = 100  # connections that the kernel holds for us, and that are taken in at once; asyncio's number
FIRST_BYTES = 5.0  # seconds that a client may take to begin; then mitmproxy waits for it
TLS_HANDSHAKE = b"\x16"  # the first byte of a ClientHello's record (RFC 8446, section 5.1)
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NEW = 1.0  # seconds in which a client may have begun to ask without our having seen it
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
PAUSE = 1.0  # seconds until we accept again when there was no room for a connection, as asyncio

Onward = Callable[[Caller, bytes], None]
"""Told of a caller, and of what it said."""


class Host(Protocol):
    """Whoever may serve callers before mitmproxy does."""

    def expects(self, mode: ProxyMode) -> bool:
        """Return whether any client of a mode might be served."""

    def serves(self, caller: Caller) -> bool:
        """Return whether a caller might be served, if it says the right thing."""

    def is_trusted_peer(self, address: str) -> bool:
        """Return whether connections from an address begin with a PROXY header."""

    def keep(self, caller: Caller, data: bytes, onward: Onward) -> bool:
        """Take a caller over that has said `data`, to go `onward` with the first that is not answered; or say False."""

    def attend(self, caller: Caller, data: bytes) -> Coroutine[Any, Any, bool] | None:
        """Serve a caller that said `data` to its end, and say True; None, or False in the end, if nothing was done."""


class Reception:
    """Hears who comes in, and has a host serve them; who is not served is mitmproxy's."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._known: WeakSet[asyncio.Server] = WeakSet()
        self._waiting: dict[Caller, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take_over(self) -> Callable[[], None]:
        """Take clients in where proxies listen whose clients the host expects, now and later.

        Gives the function that stops it: where that was done already we stay, and pass everybody on.
        """
        servers = ctx.master.addons.get("proxyserver").servers
        servers.changed.connect(self._look_round)
        self._stand_at(servers)
        unfilter = callers.announce_once()

        def undo() -> None:
            servers.changed.disconnect(self._look_round)
            unfilter()

        return undo

    async def _look_round(self) -> None:
        self._stand_at(ctx.master.addons.get("proxyserver").servers)

    def _stand_at(self, instances: Iterable[Any]) -> None:
        for instance in instances:
            servers = getattr(instance, "_servers", ()) if self._host.expects(instance.mode) else ()
            for server in self._unknown(servers):
                Door(server, functools.partial(self._meet, instance))  # the event loop keeps it, while it listens

    def _unknown(self, servers: Iterable[Any]) -> list[asyncio.Server]:
        """Return those where nobody stands yet; mitmproxy's servers for datagrams are of another kind."""
        unknown = [server for server in servers if hasattr(server, "sockets") and server not in self._known]
        self._known.update(unknown)
        return unknown

    def _meet(self, instance: Any, sock: socket.socket, peername: tuple[Any, ...]) -> None:
        self.welcome(Caller(sock, peername, instance.mode, instance.handle_stream))

    def welcome(self, caller: Caller) -> None:
        """Take a client in."""
        if not self._host.serves(caller):
            self._pass_on(caller)
        elif self._host.is_trusted_peer(caller.peername[0]):
            self._listen(caller, self._introduce)
        else:
            self._admit(caller)

    def is_serving(self) -> bool:
        """Return whether somebody is being served, or has come so lately that it may just be asking."""
        return bool(self._tasks) or any(time.time() - caller.since < NEW for caller in self._waiting)

    def _listen(self, caller: Caller, heed: Onward) -> None:
        """Have `heed` told of the next that a caller says."""
        try:
            data = caller.sock.recv(READ)
        except (BlockingIOError, InterruptedError):
            self._wait(caller, heed)
            return
        except OSError:
            data = b""
        self._forget(caller)
        if data:
            heed(caller, data)
        else:
            self._pass_on(caller)  # mitmproxy will read the end of file, too

    def _wait(self, caller: Caller, heed: Onward) -> None:
        if caller not in self._waiting:
            loop = asyncio.get_running_loop()
            left = caller.since + FIRST_BYTES - time.time()
            self._waiting[caller] = loop.call_later(left, self._give_up, caller)
            loop.add_reader(caller.sock, self._listen, caller, heed)

    def _give_up(self, caller: Caller) -> None:
        self._forget(caller)
        self._pass_on(caller)

    def _forget(self, caller: Caller) -> None:
        if timer := self._waiting.pop(caller, None):
            timer.cancel()
            asyncio.get_running_loop().remove_reader(caller.sock)

    def _introduce(self, caller: Caller, data: bytes) -> None:
        """Believe a load balancer's word of whom its connection is from; what is odd about it is mitmproxy's."""
        said = caller.preamble + data
        try:
            found = header.parse(said)
        except header.HeaderError:
            self._pass_on(caller, data)
            return
        if found is None:
            caller.preamble = said
            self._listen(caller, self._introduce)
            return
        address, rest = found
        caller.preamble = said[: len(said) - len(rest)]
        if address is None or self._host.is_trusted_peer(address[0]):
            self._pass_on(caller, rest)
        else:
            caller.peername = address
            self._admit(caller, rest)

    def _admit(self, caller: Caller, data: bytes = b"") -> None:
        """Hear a caller that is known, and has said `data`."""
        if self._host.keep(caller, data, self._heed):
            return
        if data:
            self._heed(caller, data)
        else:
            self._listen(caller, self._heed)

    def _heed(self, caller: Caller, data: bytes) -> None:
        """Have a caller served that said `data` (b"": it says no more), or pass it on."""
        if caller.is_announced and data.startswith(
            TLS_HANDSHAKE
        ):  # after a request: no request (RFC 9112, section 2.2)
            caller.close(BAD_REQUEST)
            return
        service = self._host.attend(caller, data) if data else None
        if service is None:
            self._pass_on(caller, data)
        else:
            self._begin(self._serve(service, caller, data))

    async def _serve(self, service: Coroutine[Any, Any, bool], caller: Caller, data: bytes) -> None:
        if not await service:
            self._pass_on(caller, data)

    def _pass_on(self, caller: Caller, data: bytes = b"") -> None:
        """Let mitmproxy have a caller, and what was heard of it."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        if heard := caller.preamble + data:
            reader.feed_data(heard)
        protocol = asyncio.StreamReaderProtocol(reader, caller.pass_on(), loop=loop)
        self._begin(_adopt(loop, protocol, caller.sock))

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        if not task.done():  # the loop's tasks may be eager
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _adopt(loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, sock: socket.socket) -> None:
    try:
        await loop.connect_accepted_socket(lambda: protocol, sock)
    except OSError as error:
        logger.debug(f"a connection was lost before it began: {error}")
        sock.close()


class Door:
    """Where an asyncio server listens: accepts in its stead, and has `welcome` take in a bare socket and its peer.

    A loop that watches no sockets, or not those of its servers, accepts as ever.
    """

    def __init__(self, server: asyncio.Server, welcome: Callable[[socket.socket, tuple[Any, ...]], None]) -> None:
        self._server, self._welcome = server, welcome
        for sock in server.sockets:
            self._watch(sock)

    def _watch(self, sock: Any) -> None:
        """Stand where the server stood. It closes its sockets itself, and has the loop watch them no more then."""
        with contextlib.suppress(NotImplementedError, RuntimeError):
            asyncio.get_running_loop().add_reader(sock.fileno(), self._accept, sock)

    def _accept(self, listening: Any) -> None:
        double = socket.socket(listening.family, listening.type, listening.proto, fileno=listening.fileno())
        try:
            for _ in range(BACKLOG):
                sock, peername = double.accept()
                sock.setblocking(False)
                self._welcome(sock, peername)
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            self._pause(listening, error)
        finally:
            double.detach()  # the descriptor is the server's

    def _pause(self, listening: Any, error: OSError) -> None:
        """Wait for others to end, where there is no room for one more."""
        if error.errno not in EXHAUSTED:
            raise error
        logger.error(f"cannot accept connections: {error.strerror}; retrying in {PAUSE:g} s")
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening.fileno())
        loop.call_later(PAUSE, self._resume, listening)

    def _resume(self, listening: Any) -> None:
        if self._server.is_serving():
            self._watch(listening)
