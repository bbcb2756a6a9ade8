"""Hits answered on a client's bare socket, before there is anything of mitmproxy's for it.

A client that asks for something else goes on from here, with every byte of that in its place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import Enum, auto

from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.server_hooks import ClientConnectedHook, ClientDisconnectedHook
from mitmproxy.utils import human

from proxy_policies.fastlane.caller import Caller
from proxy_policies.fastlane.dispatch import Table
from proxy_policies.fastlane.hits import ALONE, Hits, Served
from proxy_policies.fastlane.reception import READ, Onward
from proxy_policies.limits.unsent import Unsent
from proxy_policies.limits.waits import Wait

Ask = Callable[[StartHook], bool]
"""Asks a hook, and says whether everybody is through with it; if not, they will be without us."""


class Readiness(Enum):
    """What the event loop watches a socket for."""

    NEITHER = auto()
    TO_READ = auto()
    TO_WRITE = auto()


class Counter:
    """One client, from its coming in until it leaves or goes on; `gone` is called at either.

    It is read from or written to, never both at once: who does not take its answers is not heard any further.
    """

    def __init__(
        self, caller: Caller, hits: Hits, table: Table, ask: Ask, onward: Onward, gone: Callable[[Counter], None]
    ) -> None:
        self._caller, self._hits, self._table, self._ask = caller, hits, table, ask
        self._onward, self._gone = onward, gone
        self._loop = asyncio.get_running_loop()
        self.who = f"{caller.peername[0]} {caller.mode.full_spec}"
        self.address = human.format_address(caller.peername)
        self._client: Client | None = None
        self._active = time.monotonic()
        self._unsent = Unsent()
        self._waiting = memoryview(b"")
        """Answers that the kernel has no room for yet."""
        self._rest = b""
        """What the client said that is not answered yet."""
        self._closes = False
        self._watches = Readiness.NEITHER

    # Answering

    def start(self, data: bytes) -> None:
        """Hear what the client wants, which has said `data` already."""
        self._rest = data
        self._answer() if data else self._read()

    def _read(self) -> None:
        try:
            data = self._caller.sock.recv(READ)
        except (BlockingIOError, InterruptedError):
            self._watch(Readiness.TO_READ)
            return
        except OSError:
            data = b""
        self._rest = data
        if data:
            self._answer()
        elif self._caller.is_announced:
            self._leave()
        else:
            self._go_on()

    def _answer(self) -> None:
        """Answer what can be answered; with the first that cannot, the client goes on."""
        store = self._hits.store(self._table)
        if store is None or not self._hits.knows(self, self._rest) or not self._is_admitted():
            self._go_on()
            return
        self._caller.announce()
        served = self._hits.serve(self, self._rest, store)
        if not served.pieces:
            self._go_on()
            return
        self._active = time.monotonic()
        self._rest, self._closes = served.rest, served.closes
        self._send(served)

    def _is_admitted(self) -> bool:
        """Ask the addons, once, whether they want the client sent away: mitmproxy does that, and says so."""
        if self._client is None:
            self._client = self._caller.client()
            if not self._ask(ClientConnectedHook(self._client)):
                return False
        return not self._client.error

    def _send(self, served: Served) -> None:
        is_small = served.size <= ALONE or len(served.pieces) > 2
        pieces = [b"".join(served.pieces)] if is_small else served.pieces
        try:
            sent = self._caller.sock.sendmsg(pieces)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._leave()
            return
        if sent < served.size:
            self._waiting = memoryview(b"".join(pieces))[sent:]
        self._wait()

    def _write(self) -> None:
        """Send more of what waits; when all is sent, see to what else was asked for."""
        try:
            self._waiting = self._waiting[self._caller.sock.send(self._waiting) :]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._leave()
            return
        self._active = time.monotonic()
        if self._rest and not self._waiting:
            self._answer()
        else:
            self._wait()

    def _wait(self) -> None:
        """Wait for room while something is to be sent or answered, else for the next request."""
        if self._closes:
            self._rest = b""  # what follows is nobody's (RFC 9112, section 9.6)
        if self._waiting or self._rest:
            self._watch(Readiness.TO_WRITE)
        elif self._closes:
            self._leave()
        else:
            self._watch(Readiness.TO_READ)

    def _watch(self, wanted: Readiness) -> None:
        """Have the loop watch the socket for one thing, or for nothing."""
        before, self._watches = self._watches, wanted
        if wanted is before:
            return
        if before is Readiness.TO_READ:
            self._loop.remove_reader(self._caller.sock)
        elif before is Readiness.TO_WRITE:
            self._loop.remove_writer(self._caller.sock)
        if wanted is Readiness.TO_READ:
            self._loop.add_reader(self._caller.sock, self._read)
        elif wanted is Readiness.TO_WRITE:
            self._loop.add_writer(self._caller.sock, self._write)

    # Ending

    def _stop(self) -> None:
        self._watch(Readiness.NEITHER)
        self._gone(self)

    def _go_on(self) -> None:
        self._stop()
        self._onward(self._caller, self._rest)

    def dismiss(self) -> None:
        """Let the client go on, unless it is being answered; then it will, for the store is not there any more."""
        if not self._waiting:
            self._go_on()

    def _leave(self) -> None:
        self._stop()
        self._caller.leave()
        if self._client is not None:
            self._client.state, self._client.timestamp_end = ConnectionState.CLOSED, time.time()
            self._ask(ClientDisconnectedHook(self._client))

    # Waiting

    def waits(self, now: float) -> tuple[Wait, float, int]:
        """Return what the connection waits for, for how many seconds, and how many bytes came meanwhile: none."""
        since = self._unsent.since(now, len(self._waiting) + len(self._rest), self._caller.sock)
        return (Wait.REQUEST, now - self._active, 0) if since is None else (Wait.READER, now - since, 0)

    def close(self, wait: Wait, waited: float) -> None:
        """Close the connection, and say why."""
        self._caller.announce()
        self._caller.log(f"closing connection, for {waited:.0f} s {wait.value}")
        self._leave()
