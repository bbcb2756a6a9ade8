"""Sending a whole recording again: in order, or several at a time where nothing depends on what is still under way."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from proxy_policies.background import spawn
from proxy_policies.capture.check import http2_client, websocket_client
from proxy_policies.capture.check.correlate import Correlator
from proxy_policies.capture.check.http_client import Connection, Reply, SendError
from proxy_policies.capture.check.secret_pairs import Pair, pairs_in_requests
from proxy_policies.capture.check.targets import Target
from proxy_policies.capture.har.entry_index import EntryIndex
from proxy_policies.capture.model import Entry, Request, Response, WebSocketMessage
from proxy_policies.capture.secrets.redact import Redactor
from proxy_policies.capture.secrets.secret_values import SecretValues
from proxy_policies.capture.streams.interleaving import awaited, is_interleaved
from proxy_policies.capture.streams.messages import frame_count, is_grpc, is_stream
from proxy_policies.capture.websocket.transcript import Transcript, as_request, as_response, is_conversation

SAFE = frozenset(["GET", "HEAD", "OPTIONS", "TRACE"])  # RFC 9110 section 9.2.1


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How fast: so many at a time, so many a second (0: no bound), so many seconds for each."""

    jobs: int = 1
    rate: float = 0.0
    timeout: float = 30.0
    keep_host: bool = False


@dataclass(frozen=True, slots=True)
class SendResult:
    """What came of an entry: a response without secrets, or why there is none."""

    response: Response | None = None
    seconds: float = 0.0
    error: str = ""
    skipped: str = ""
    secrets: tuple[Pair, ...] = ()
    """The request's secrets: as recorded, and as they were sent."""


def skip_reason(entry: Entry) -> str:
    """Return why an entry cannot be sent again; empty when it can."""
    if entry.response.status < 200 and not is_conversation(entry.response):
        return "no answer was recorded"
    if entry.request.body.dropped:
        return "its request body was too large to record"
    if entry.response.body.dropped:
        return "its response body was too large to record"
    if entry.response.body.cut and not is_stream(entry.response):
        return f"its answer was broken off by the {entry.response.body.cut} when it was recorded"
    return "its request was broken off when it was recorded" if entry.request.body.cut else ""


class Sender:
    """Sends every entry of a recording to its target, through the proxy at this port, with all that it needs."""

    def __init__(
        self,
        entries: EntryIndex,
        targets: Mapping[str, Target],
        correlator: Correlator,
        secret_values: SecretValues,
        redactor: Redactor,
    ) -> None:
        self._entries = entries
        self._targets = targets
        self._correlator = correlator
        self._secret_values = secret_values
        self._redactor = redactor

    async def run(
        self, port: int, order: Iterable[int], options: SendOptions, done: Callable[[int, SendResult], None]
    ) -> None:
        """Send the entries in this order; `done` is called with each as it ends. Nothing is left running."""
        free: asyncio.Queue[Connection] = asyncio.Queue()
        connections = [Connection(port, options.timeout) for _ in range(options.jobs)]
        for connection in connections:
            free.put_nowait(connection)
        running: dict[int, asyncio.Task[None]] = {}
        began, started = time.monotonic(), 0
        try:
            for number in order:
                entry = self._entries[number]
                await _wait(running, None if entry.request.method not in SAFE else self._correlator.needs(number))
                connection = await free.get()
                if options.rate:
                    await asyncio.sleep(max(0.0, began + started / options.rate - time.monotonic()))
                started += 1
                task = spawn(self._one(number, entry, connection, options, free, done))
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
        options: SendOptions,
        free: "asyncio.Queue[Connection]",
        done: Callable[[int, SendResult], None],
    ) -> None:
        try:
            done(number, await self._send(number, entry, connection, options))
        finally:
            free.put_nowait(connection)

    async def _send(self, number: int, entry: Entry, connection: Connection, options: SendOptions) -> SendResult:
        target = self._targets.get(entry.request.origin)
        skipped = skip_reason(entry) or ("" if target else f"no --target for {entry.request.origin}")
        if skipped or target is None:
            return SendResult(skipped=skipped)
        request = target.to_live(self.prepared(number, entry.request), options.keep_host)
        try:
            if is_conversation(entry.response):
                reply = await self._replay_conversation(number, entry, request, connection.port, options.timeout)
            else:
                reply = await _send_http(entry, request, connection, options.timeout)
        except SendError as error:
            return SendResult(error=str(error))
        live = target.to_recorded(reply.response)
        self._correlator.learn(number, live)
        exchange = self._redactor.entry(Entry(request, live, entry.times))  # also what was just sent and comes back
        secrets = pairs_in_requests(entry.request, exchange.request)
        return SendResult(exchange.response, reply.seconds, secrets=tuple(secrets))

    async def _replay_conversation(
        self, number: int, entry: Entry, request: Request, port: int, timeout: float
    ) -> Reply:
        messages = [self._prepared_message(number, entry.request, message) for message in entry.messages]
        for message in messages:
            self._redactor.message(message)  # which learns what must not come back in the clear
        recorded = Transcript(entry.response, messages, entry.close_code, entry.close_reason, entry.closed_by_client)
        transcript, seconds = await websocket_client.replay_conversation(port, request, recorded, timeout)
        return Reply(as_response(transcript), seconds)

    def _prepared_message(self, number: int, request: Request, message: WebSocketMessage) -> WebSocketMessage:
        if not message.from_client:
            return message
        return replace(message, data=self.prepared(number, as_request(request, message)).body.content)

    def prepared(self, number: int, request: Request) -> Request:
        """Return a recorded request with the real values in it, as far as they are known by now."""
        return self._secret_values.substitute(self._correlator.apply(number, request))


async def _send_http(entry: Entry, request: Request, connection: Connection, timeout: float) -> Reply:
    """Send a request as it was sent; of a stream that its client left, take as many frames as that had."""
    frames = frame_count(entry.response) if entry.response.body.cut == "client" else None
    if request.version == "HTTP/2" and is_grpc(request):
        waits = [wait for _, wait in awaited(entry)] if is_interleaved(entry) else []
        return await http2_client.send(connection.port, request, timeout, frames, waits)
    return await connection.send(request, frames)


async def _wait(running: dict[int, asyncio.Task[None]], numbers: Iterable[int] | None) -> None:
    """Wait for these, or for all, and let go of those that are over. Raises what one of them raised."""
    waited = running.keys() if numbers is None else set(numbers) & running.keys()
    tasks = [running[number] for number in waited]
    if tasks:
        await asyncio.gather(*tasks)
    for number in [number for number, task in running.items() if task.done()]:
        await running.pop(number)
