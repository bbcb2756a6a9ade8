"""Sending a whole recording again: in order, or several at a time where nothing depends on what is still under way."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from proxy_policies.capture import talking
from proxy_policies.capture.correlate import Carrier
from proxy_policies.capture.model import Entry, Message, Request, Response
from proxy_policies.capture.redact import Redactor
from proxy_policies.capture.resend import Connection, Reply, ResendError
from proxy_policies.capture.shelf import Shelf
from proxy_policies.capture.targets import Target
from proxy_policies.capture.transcript import Talk, heard, is_conversation, spoken
from proxy_policies.capture.vault import Vault

SAFE = frozenset(["GET", "HEAD", "OPTIONS", "TRACE"])  # RFC 9110 section 9.2.1


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast: so many at a time, so many a second (0: no bound), so many seconds for each."""

    jobs: int = 1
    rate: float = 0.0
    timeout: float = 30.0
    keep_host: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of an entry: a response without secrets, or why there is none."""

    response: Response | None = None
    seconds: float = 0.0
    error: str = ""
    skipped: str = ""


def why_not(entry: Entry) -> str:
    """Say why an entry cannot be sent again; empty when it can."""
    if entry.response.status < 200 and not is_conversation(entry.response):
        return "no answer was recorded"
    if entry.request.body.lost:
        return "its request body was too large to record"
    return "its response body was too large to record" if entry.response.body.lost else ""


def in_order(shelf: Shelf) -> list[int]:
    """Return the entries' numbers by the time they were sent: they are written as they end."""
    return sorted(range(len(shelf)), key=lambda number: shelf[number].times.request_start)


class Sender:
    """Sends every entry of a recording to its target, through the proxy at this port, with all that it needs."""

    def __init__(
        self, shelf: Shelf, targets: Mapping[str, Target], carrier: Carrier, vault: Vault, redactor: Redactor
    ) -> None:
        self._shelf = shelf
        self._targets = targets
        self._carrier = carrier
        self._vault = vault
        self._redactor = redactor

    async def run(self, port: int, order: Iterable[int], pace: Pace, done: Callable[[int, Sent], None]) -> None:
        """Send the entries in this order; `done` is told of each as it ends. Nothing is left running."""
        free: asyncio.Queue[Connection] = asyncio.Queue()
        connections = [Connection(port, pace.timeout) for _ in range(pace.jobs)]
        for connection in connections:
            free.put_nowait(connection)
        running: dict[int, asyncio.Task[None]] = {}
        began, started = time.monotonic(), 0
        try:
            for number in order:
                entry = self._shelf[number]
                await _wait(running, None if entry.request.method not in SAFE else self._carrier.needs(number))
                connection = await free.get()
                if pace.rate:
                    await asyncio.sleep(max(0.0, began + started / pace.rate - time.monotonic()))
                started += 1
                task = asyncio.create_task(self._one(number, entry, connection, pace, free, done))
                running[number] = task
                if entry.request.method not in SAFE:
                    await task
            await _wait(running, None)
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*(connection.close() for connection in connections))

    async def _one(
        self,
        number: int,
        entry: Entry,
        connection: Connection,
        pace: Pace,
        free: "asyncio.Queue[Connection]",
        done: Callable[[int, Sent], None],
    ) -> None:
        try:
            done(number, await self._send(number, entry, connection, pace))
        finally:
            free.put_nowait(connection)

    async def _send(self, number: int, entry: Entry, connection: Connection, pace: Pace) -> Sent:
        target = self._targets.get(entry.request.origin)
        skipped = why_not(entry) or ("" if target else f"no --target for {entry.request.origin}")
        if skipped or target is None:
            return Sent(skipped=skipped)
        request = target.to_live(self.prepared(number, entry.request), pace.keep_host)
        try:
            if is_conversation(entry.response):
                reply = await self._talk(number, entry, request, connection.port, pace.timeout)
            else:
                reply = await connection.send(request)
        except ResendError as error:
            return Sent(error=str(error))
        live = target.to_recorded(reply.response)
        self._carrier.learn(number, live)
        return Sent(self._redacted(entry, request, live), reply.seconds)

    async def _talk(self, number: int, entry: Entry, request: Request, port: int, timeout: float) -> Reply:
        messages = [self._said(number, entry.request, message) for message in entry.messages]
        for message in messages:
            self._redactor.message(message)  # which learns what must not come back in the clear
        said = Talk(entry.response, messages, entry.close_code, entry.close_reason, entry.closed_by_client)
        talk, seconds = await talking.talk(port, request, said, timeout)
        return Reply(heard(talk), seconds)

    def _said(self, number: int, request: Request, message: Message) -> Message:
        if not message.from_client:
            return message
        return replace(message, data=self.prepared(number, spoken(request, message)).body.content)

    def prepared(self, number: int, request: Request) -> Request:
        """Return a recorded request with the real values in it, as far as they are known by now."""
        return self._vault.fill(self._carrier.apply(number, request))

    def _redacted(self, entry: Entry, request: Request, live: Response) -> Response:
        """Take out the secrets, also those that were just sent and come back."""
        exchange = Entry(request, live, entry.times)
        return self._redactor.entry(exchange).response


async def _wait(running: dict[int, asyncio.Task[None]], numbers: Iterable[int] | None) -> None:
    """Wait for these, or for all, and let go of those that are over. Raises what one of them raised."""
    waited = running.keys() if numbers is None else set(numbers) & running.keys()
    tasks = [running[number] for number in waited]
    if tasks:
        await asyncio.gather(*tasks)
    for number in [number for number, task in running.items() if task.done()]:
        await running.pop(number)
