"""A page of ours that an option turns on, moves and turns off."""

from __future__ import annotations

import socket
from collections.abc import Callable

from proxy_policies.addresses import Address
from proxy_policies.background.tasks import spawn
from proxy_policies.lazy_imports import lazy_imports

with lazy_imports():
    from proxy_policies.web_pages import page_server


StartServer = Callable[[list[socket.socket]], "page_server.PageServer"]
"""Returns a server for sockets that listen."""


class OptionalPage:
    """A page, served or not; `ended` is called whenever it is served no longer."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._server: page_server.PageServer | None = None
        self._served: tuple[Address, StartServer] | None = None

    @property
    def is_served(self) -> bool:
        """Return whether it is served anywhere."""
        return self._server is not None

    def move(self, address: Address | None, begin: StartServer) -> None:
        """Serve it on another address, or nowhere. Raise OSError, and then it is still served as it was."""
        former = self._served
        if former and address and former[0][1] == address[1]:
            self._stop()  # two cannot listen on one port
        try:
            sockets = page_server.bind(*address) if address else []
        except OSError:
            if former and not self.is_served:
                self._start(page_server.bind(*former[0]), *former)
            raise
        self._stop()
        if address:
            self._start(sockets, address, begin)

    async def close(self) -> None:
        """Stop serving, and close all connections."""
        if (server := self._end()) is not None:
            await server.close()

    def _start(self, sockets: list[socket.socket], address: Address, begin: StartServer) -> None:
        self._server, self._served = begin(sockets), (address, begin)
        self._server.start()

    def _stop(self) -> None:
        if (server := self._end()) is not None:
            spawn(server.close())

    def _end(self) -> page_server.PageServer | None:
        server, self._server, self._served = self._server, None, None
        if server is not None:
            server.stop()
            self._ended()
        return server
