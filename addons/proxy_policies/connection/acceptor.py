"""Accepts connections where mitmproxy's servers listen."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import socket
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from mitmproxy import ctx
from mitmproxy.proxy.mode_specs import ProxyMode

from proxy_policies.background import spawn
from proxy_policies.socket_options import send_at_once

logger = logging.getLogger(__name__)

BACKLOG = 100
"""Connections that the kernel holds for us, and that are accepted in one turn: asyncio's number."""
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
RETRY_AFTER = 1.0
"""Seconds until we accept again when there was no room for a connection, as asyncio."""

Accepted = Callable[[Any, socket.socket, tuple[Any, ...]], None]
"""Called with mitmproxy's server instance, the new socket and its peer."""


class Listener:
    """Accepts in place of one asyncio server.

    A loop that watches no sockets, or not those of its servers, accepts as ever.
    """

    def __init__(self, server: asyncio.Server, accepted: Callable[[socket.socket, tuple[Any, ...]], None]) -> None:
        self._server, self._accepted = server, accepted
        for sock in server.sockets:
            self._watch(sock)

    def _watch(self, sock: Any) -> None:
        """Put our callback in place of the server's, which closes its sockets itself when it ends."""
        with contextlib.suppress(NotImplementedError, RuntimeError):
            asyncio.get_running_loop().add_reader(sock.fileno(), self._accept, sock)

    def _accept(self, listening: Any) -> None:
        double = socket.socket(listening.family, listening.type, listening.proto, fileno=listening.fileno())
        try:
            for _ in range(BACKLOG):
                sock, peername = double.accept()
                sock.setblocking(False)
                send_at_once(sock)
                self._accepted(sock, peername)
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            self._pause(listening, error)
        finally:
            double.detach()  # the descriptor is the server's

    def _pause(self, listening: Any, error: OSError) -> None:
        if error.errno not in EXHAUSTED:
            raise error
        logger.error(f"cannot accept connections: {error.strerror}; retrying in {RETRY_AFTER:g} s")
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening.fileno())
        loop.call_later(RETRY_AFTER, self._resume, listening)

    def _resume(self, listening: Any) -> None:
        if self._server.is_serving():
            self._watch(listening)


class Acceptor:
    """Puts a `Listener` in place of every server whose mode is wanted, now and later."""

    def __init__(self, is_wanted: Callable[[ProxyMode], bool], accepted: Accepted) -> None:
        self._is_wanted, self._accepted = is_wanted, accepted
        self._known: WeakSet[asyncio.Server] = WeakSet()

    def start(self) -> Callable[[], None]:
        """Begin, and return the function that ends it: where a listener is, it stays."""
        proxyserver = ctx.master.addons.get("proxyserver")
        if proxyserver is None:  # a master that serves nobody
            return lambda: None
        proxyserver.servers.changed.connect(self._update)
        self._listen_to_all(proxyserver.servers)
        return lambda: proxyserver.servers.changed.disconnect(self._update)

    async def _update(self) -> None:
        self._listen_to_all(ctx.master.addons.get("proxyserver").servers)

    def _listen_to_all(self, servers: Any) -> None:
        for instance in servers:
            if self._is_wanted(instance.mode):
                spawn(self._listen(instance, servers))

    async def _listen(self, instance: Any, servers: Any) -> None:
        """Listen in the turn of the event loop in which mitmproxy's server has begun to.

        It says so to the log first, and tells its addons some turns later: a client of that instant would be its own.
        """
        while instance in servers and not (instance.is_running or instance.last_exception):  # noqa: ASYNC110
            await asyncio.sleep(0)
        for server in getattr(instance, "_servers", ()):
            # mitmproxy's servers for datagrams are of another kind
            if hasattr(server, "sockets") and server not in self._known:
                self._known.add(server)
                Listener(server, functools.partial(self._accepted, instance))  # kept by the event loop
