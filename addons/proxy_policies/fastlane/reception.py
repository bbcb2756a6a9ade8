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
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from mitmproxy import ctx
from mitmproxy.proxy.mode_specs import ProxyMode, RegularMode

logger = logging.getLogger(__name__)

READ = 65535  # bytes at once, as mitmproxy
BACKLOG = 100  # connections that the kernel holds for us, and that are taken in at once; asyncio's number
FIRST_BYTES = 5.0  # seconds that a client may take to begin; then mitmproxy waits for it
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
PAUSE = 1.0  # seconds until we accept again when there was no room for a connection, as asyncio

Receive = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
"""mitmproxy's own way to take a connection in."""


@dataclass(slots=True, eq=False)
class Caller:
    """A client that has come in, by its bare, non-blocking socket."""

    sock: socket.socket
    peername: tuple[Any, ...]
    mode: ProxyMode
    receive: Receive
    since: float = field(default_factory=time.time)
    """Seconds since the epoch."""


Attend = Callable[[Caller, bytes], Coroutine[Any, Any, bool] | None]
"""Given a caller and its first bytes, serves it to its end and says True; None, or False in the end: it did not."""


class Reception:
    """Hears callers while `is_open` says so, and has `attend` serve them."""

    def __init__(self, is_open: Callable[[], bool], attend: Attend) -> None:
        self._is_open, self._attend = is_open, attend
        self._known: WeakSet[asyncio.Server] = WeakSet()
        self._waiting: dict[Caller, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take_over(self) -> Callable[[], None]:
        """Take clients in where regular proxies listen, now and later.

        Gives the function that stops it: where that was done already we stay, and pass everybody on.
        """
        servers = ctx.master.addons.get("proxyserver").servers
        servers.changed.connect(self._look_round)
        self._stand_at(servers)
        return functools.partial(servers.changed.disconnect, self._look_round)

    async def _look_round(self) -> None:
        self._stand_at(ctx.master.addons.get("proxyserver").servers)

    def _stand_at(self, instances: Iterable[Any]) -> None:
        for instance in instances:
            servers = getattr(instance, "_servers", ()) if type(instance.mode) is RegularMode else ()
            for server in self._unknown(servers):
                Door(server, functools.partial(self._meet, instance))  # the event loop keeps it, while it listens

    def _unknown(self, servers: Iterable[asyncio.Server]) -> list[asyncio.Server]:
        unknown = [server for server in servers if server not in self._known]
        self._known.update(unknown)
        return unknown

    def _meet(self, instance: Any, sock: socket.socket, peername: tuple[Any, ...]) -> None:
        self.welcome(Caller(sock, peername, instance.mode, instance.handle_stream))

    def welcome(self, caller: Caller) -> None:
        """Take a client in."""
        if not self._is_open():
            self._pass_on(caller)
            return
        loop = asyncio.get_running_loop()
        self._waiting[caller] = loop.call_later(FIRST_BYTES, self._give_up, caller)
        loop.add_reader(caller.sock, self._hear, caller)

    def _hear(self, caller: Caller) -> None:
        try:
            data = caller.sock.recv(READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""  # an end of file is what mitmproxy will read then
        self._forget(caller)
        service = self._attend(caller, data) if data else None
        if service is None:
            self._pass_on(caller, data)
        else:
            self._begin(self._serve(service, caller, data))

    def _give_up(self, caller: Caller) -> None:
        self._forget(caller)
        self._pass_on(caller)

    def _forget(self, caller: Caller) -> None:
        self._waiting.pop(caller).cancel()
        asyncio.get_running_loop().remove_reader(caller.sock)

    async def _serve(self, service: Coroutine[Any, Any, bool], caller: Caller, data: bytes) -> None:
        if not await service:
            self._pass_on(caller, data)

    def _pass_on(self, caller: Caller, data: bytes = b"") -> None:
        """Let mitmproxy have a caller, and what was heard of it."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        if data:
            reader.feed_data(data)
        protocol = asyncio.StreamReaderProtocol(reader, caller.receive, loop=loop)
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
        logger.error(f"no new connection can be taken in: {error.strerror}")
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening.fileno())
        loop.call_later(PAUSE, self._resume, listening)

    def _resume(self, listening: Any) -> None:
        if self._server.is_serving():
            self._watch(listening)
