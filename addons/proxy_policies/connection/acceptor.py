"""Accepts connections on the sockets of mitmproxy's servers."""

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
from mitmproxy.proxy.mode_servers import AsyncioServerInstance

from proxy_policies.background.tasks import spawn
from proxy_policies.byte_streams.socket_options import send_at_once

logger = logging.getLogger(__name__)

BACKLOG = 100
"""Connections accepted in one turn of the event loop: asyncio's backlog."""
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
RETRY_AFTER = 1.0
"""Seconds until we accept again after resources were exhausted, as in asyncio."""

OnAccepted = Callable[[Any, socket.socket, tuple[Any, ...]], None]
"""Called with mitmproxy's server instance, the new socket and its peer."""


class ServerSocketWatch:
    """Accepts in place of one asyncio server, which repeats an error a hundred times, and its retries as often.

    An event loop that cannot watch these sockets keeps accepting as usual.
    """

    def __init__(self, server: asyncio.Server, accepted: Callable[[socket.socket, tuple[Any, ...]], None]) -> None:
        self._server, self._accepted = server, accepted
        for sock in server.sockets:
            self._watch(sock)

    def _watch(self, sock: Any) -> None:
        """Replace the server's callback with ours; the server still closes its own sockets."""
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
            double.detach()  # the server owns the descriptor

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
    """Creates a `ServerSocketWatch` for every server, now and later."""

    def __init__(self, accepted: OnAccepted) -> None:
        self._accepted = accepted
        self._known: WeakSet[asyncio.Server] = WeakSet()

    def start(self) -> Callable[[], None]:
        """Start, and return the function that stops it; existing listeners remain."""
        proxyserver = ctx.master.addons.get("proxyserver")
        if proxyserver is None:  # a master without servers
            return lambda: None
        proxyserver.servers.changed.connect(self._update)
        self._listen_to_all(proxyserver.servers)
        return lambda: proxyserver.servers.changed.disconnect(self._update)

    async def _update(self) -> None:
        self._listen_to_all(ctx.master.addons.get("proxyserver").servers)

    def _listen_to_all(self, servers: Any) -> None:
        for instance in servers:
            if isinstance(instance, AsyncioServerInstance):  # `local` may wait for minutes until the user permits it
                spawn(self._listen(instance, servers))

    async def _listen(self, instance: Any, servers: Any) -> None:
        """Start listening in the same turn of the event loop in which mitmproxy's server does.

        mitmproxy logs that at once, but notifies addons some turns later: it would get clients accepted in between.
        """
        while instance in servers and not (instance.is_running or instance.last_exception):  # noqa: ASYNC110
            await asyncio.sleep(0)
        for server in instance._servers:
            # mitmproxy's servers for datagrams have no sockets
            if hasattr(server, "sockets") and server not in self._known:
                self._known.add(server)
                ServerSocketWatch(server, functools.partial(self._accepted, instance))  # kept by the event loop
