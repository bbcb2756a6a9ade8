"""Clients that connect the moment a port opens, and keep sending requests."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from tests.support.openings import connect, read_all, socks5, trusting_anyone

GET = "GET {url}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
Ask = Callable[[socket.socket], bytes]
"""Sends something on a new connection, and returns the whole response."""


def get(url: str) -> Ask:
    """Return an `Ask` that requests a page from a forward proxy, or from an origin if `url` is ""."""

    def ask(sock: socket.socket) -> bytes:
        sock.sendall(GET.format(url=url, host=url.removeprefix("http://") or "example.test").encode())
        return read_all(sock)

    return ask


def get_over_tls(url: str) -> Ask:
    """Return an `Ask` that requests a page from a proxy over TLS."""

    def ask(sock: socket.socket) -> bytes:
        with trusting_anyone().wrap_socket(sock, server_hostname="localhost") as tls:
            return get(url)(tls)

    return ask


def get_through(opening: Callable[[socket.socket, str], None], target: str) -> Ask:
    """Return an `Ask` that requests a page from an origin through a tunnel."""

    def ask(sock: socket.socket) -> bytes:
        opening(sock, target)
        return get("")(sock)

    return ask


__all__ = ["Ask", "EarlyClients", "connect", "get", "get_over_tls", "get_through", "socks5"]


class EarlyClients:
    """Several clients that send requests repeatedly, from before `port` opens until `stop`."""

    def __init__(self, port: int, ask: Ask, count: int = 3) -> None:
        self.answered = 0
        self.wrong: list[str] = []
        """What went wrong once the port had been open."""
        self._address, self._request = ("127.0.0.1", port), ask
        self._is_open = False
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._ask_once()
            time.sleep(0.005)

    def _ask_once(self) -> None:
        was_open = self._is_open  # another client may be the first while this one is being refused
        try:
            with socket.create_connection(self._address, timeout=100) as sock:
                self._is_open = True
                answer = self._request(sock)
        except (OSError, AssertionError) as error:
            if was_open or not isinstance(error, ConnectionRefusedError):
                self.wrong.append(repr(error))
            return
        if answer.startswith(b"HTTP/1.1 200 "):
            self.answered += 1
        else:
            self.wrong.append(repr(answer[:200]))

    def stop(self) -> None:
        """Finish the requests in progress, and send no more."""
        self._stopping.set()
        for thread in self._threads:
            with suppress(RuntimeError):
                thread.join(100)
