"""Looks up each host name in its own thread, up to a limit: getaddrinfo(3) cannot be interrupted.

asyncio has a thread or two per core for all blocking calls: a handful of names whose servers do not answer would stop
all others. Here a name takes one thread however many ask for it, an IP address takes none, callers can time out, and no
thread delays the end of the process. Does not import mitmproxy.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import socket
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from proxy_policies.addresses import is_address

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
"""A result of getaddrinfo."""

THREADS = 64  # names at once; Go's resolver has 500 with cgo, nginx's needs no threads


async def look_up(host: str, port: int, *, timeout: float | None = None, flags: int = 0) -> list[AddressInfo]:
    """Return the addresses to connect to, in the order of RFC 6724; `flags` determine the meaning of "".

    `timeout` is in seconds. Raises OSError (socket.gaierror; EAI_AGAIN after a time-out), or UnicodeError for an
    invalid name.
    """
    if not host or ("%" not in host and is_address(host)):
        return _getaddrinfo(host, port, flags | socket.AI_NUMERICHOST)
    try:
        async with asyncio.timeout(timeout):
            return await _lookups.wait_for(_Query(host, port, flags))
    except TimeoutError:
        raise socket.gaierror(socket.EAI_AGAIN, f"the name server does not answer within {timeout:g} s") from None


def _getaddrinfo(host: str, port: int, flags: int) -> list[AddressInfo]:
    found: Any = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class _Query:
    host: str
    port: int
    flags: int


@dataclass(slots=True)
class _Lookup:
    """One query that is being answered, or waits for a thread; `waiting` counts its callers."""

    query: _Query
    answer: Future[list[AddressInfo]] = field(default_factory=Future)
    waiting: int = 0


class _Lookups:
    """The look-ups in progress, and their threads."""

    def __init__(self, threads: int = THREADS) -> None:
        self._most = threads
        self._lock = threading.Lock()
        self._pending: dict[_Query, _Lookup] = {}
        self._queue: collections.deque[_Lookup] = collections.deque()
        self._threads = 0

    async def wait_for(self, query: _Query) -> list[AddressInfo]:
        """Return the answer. Cancelling one caller does not affect others."""
        lookup = self._join(query)
        try:
            return await asyncio.shield(asyncio.wrap_future(lookup.answer))
        finally:
            self._leave(lookup)

    def _join(self, query: _Query) -> _Lookup:
        with self._lock:
            if (lookup := self._pending.get(query)) is None:
                lookup = self._pending[query] = _Lookup(query)
                self._queue.append(lookup)
                self._start_thread(lookup)
            lookup.waiting += 1
            return lookup

    def _leave(self, lookup: _Lookup) -> None:
        """Remove a look-up from the queue once it has no more callers."""
        with self._lock:
            lookup.waiting -= 1
            if not lookup.waiting:
                with contextlib.suppress(ValueError):  # a thread is working on it
                    self._queue.remove(lookup)
                    del self._pending[lookup.query]

    def _start_thread(self, lookup: _Lookup) -> None:
        if self._threads == self._most:
            return
        try:
            threading.Thread(target=self._work, name="name look-up", daemon=True).start()
            self._threads += 1
        except RuntimeError as error:  # no more threads available: the existing ones will get to it
            if not self._threads:
                self._queue.remove(lookup)
                del self._pending[lookup.query]
                raise OSError(str(error)) from None

    def _work(self) -> None:
        """Answer queued queries, then end: starting takes 50 µs, so idle threads are not worth keeping."""
        while lookup := self._next():
            try:
                found, error = _getaddrinfo(lookup.query.host, lookup.query.port, lookup.query.flags), None
            except Exception as raised:  # OSError, UnicodeError: for the caller to handle
                found, error = [], raised
            with self._lock:
                del self._pending[lookup.query]
            if error is None:
                lookup.answer.set_result(found)
            else:
                lookup.answer.set_exception(error)

    def _next(self) -> _Lookup | None:
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            self._threads -= 1
            return None


_lookups = _Lookups()
