"""Sending a recording again: in order, or several requests at a time if none depends on an unfinished one."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from proxy_policies.background.tasks import spawn
from proxy_policies.capture.check import http2_client, websocket_client
from proxy_policies.capture.check.correlate import Correlator
from proxy_policies.capture.check.http_client import Reply, RequestConnection, SendError
from proxy_policies.capture.check.results import SendResult
from proxy_policies.capture.check.secret_pairs import pairs_in_requests
from proxy_policies.capture.check.secret_values import SecretValues
from proxy_policies.capture.check.targets import CheckTarget
from proxy_policies.capture.har.entry_index import EntryIndex
from proxy_policies.capture.model import Entry, Request, WebSocketMessage
from proxy_policies.capture.secrets.redact import Redactor
from proxy_policies.capture.streams.interleaving import client_waits, is_interleaved
from proxy_policies.capture.streams.messages import frame_count, is_grpc, is_stream
from proxy_policies.capture.websocket.transcript import (
    Transcript,
    as_request,
    as_response,
    has_dropped_message,
    is_conversation,
)

SAFE = frozenset(["GET", "HEAD", "OPTIONS", "TRACE"])  # RFC 9110 section 9.2.1


@dataclass(frozen=True, slots=True)
class SendOptions:
    """Requests at a time, requests per second (0: unlimited), and seconds for each."""

    jobs: int = 1
    rate: float = 0.0
    timeout: float = 30.0
    keep_host: bool = False


def skip_reason(entry: Entry) -> str:
    """Return why an entry cannot be sent again; empty if it can."""
    if entry.response.status < 200 and not is_conversation(entry.response):
        return "no response was recorded"
    if entry.request.body.dropped:
        return "its request body was not recorded, or not all of it"
    if entry.response.body.dropped:
        return "its response body was not recorded, or not all of it"
    if entry.response.body.cut and not is_stream(entry.response):
        return f"its response was broken off by the {entry.response.body.cut} when it was recorded"
    if has_dropped_message(entry):
        return "not all of its messages were recorded"
    return "its request was broken off when it was recorded" if entry.request.body.cut else ""


class Sender:
    """Sends every entry of a recording to its target, through a proxy, with secrets and linked values filled in."""

    def __init__(
        self,
        entries: EntryIndex,
        targets: Mapping[str, CheckTarget],
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
        self, port: int, order: Iterable[int], options: SendOptions, on_result: Callable[[int, SendResult], None]
    ) -> None:
        """Send the entries in this order, and call `on_result` with the number and result of each."""
        free: asyncio.Queue[RequestConnection] = asyncio.Queue()
        connections = [RequestConnection(port, options.timeout) for _ in range(options.jobs)]
        for connection in connections:
            free.put_nowait(connection)
        running: dict[int, asyncio.Task[None]] = {}
        start, started_count = time.monotonic(), 0
        try:
            for number in order:
                entry = self._entries[number]
                await _wait(running, None if entry.request.method not in SAFE else self._correlator.needs(number))
                connection = await free.get()
                if options.rate:
                    await asyncio.sleep(max(0.0, start + started_count / options.rate - time.monotonic()))
                started_count += 1
                task = spawn(self._send_entry(number, entry, connection, options, free, on_result))
                running[number] = task
                if entry.request.method not in SAFE:
                    await task
            await _wait(running, None)
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*(connection.close() for connection in connections))

    async def _send_entry(
        self,
        number: int,
        entry: Entry,
        connection: RequestConnection,
        options: SendOptions,
        free: "asyncio.Queue[RequestConnection]",
        on_result: Callable[[int, SendResult], None],
    ) -> None:
        try:
            on_result(number, await self._send(number, entry, connection, options))
        finally:
            free.put_nowait(connection)

    async def _send(self, number: int, entry: Entry, connection: RequestConnection, options: SendOptions) -> SendResult:
        target = self._targets.get(entry.request.origin)
        skipped = skip_reason(entry) or ("" if target else f"no --target for {entry.request.origin}")
        if skipped or target is None:
            return SendResult(skipped=skipped)
        request = target.to_live(self.prepared(number, entry.request), options.keep_host)
        try:
            if is_conversation(entry.response):
                result = await self._replay_conversation(number, entry, request, connection.port, options.timeout)
            else:
                result = await _send_http(entry, request, connection, options.timeout)
        except SendError as error:
            return SendResult(error=str(error))
        live = target.to_recorded(result.response)
        self._correlator.learn(number, live)
        exchange = self._redactor.entry(
            Entry(request, live, entry.times)
        )  # masks the request's secrets in the response, too
        secrets = pairs_in_requests(entry.request, exchange.request)
        return SendResult(exchange.response, result.seconds, secrets=tuple(secrets))

    async def _replay_conversation(
        self, number: int, entry: Entry, request: Request, port: int, timeout: float
    ) -> Reply:
        messages = [self._prepared_message(number, entry.request, message) for message in entry.messages]
        for message in messages:
            self._redactor.message(message)  # so that the redactor masks its secrets if they come back
        recorded = Transcript(entry.response, messages, entry.close_code, entry.close_reason, entry.closed_by_client)
        transcript, seconds = await websocket_client.replay_conversation(port, request, recorded, timeout)
        return Reply(as_response(transcript), seconds)

    def _prepared_message(self, number: int, request: Request, message: WebSocketMessage) -> WebSocketMessage:
        if not message.from_client:
            return message
        return replace(message, data=self.prepared(number, as_request(request, message)).body.content)

    def prepared(self, number: int, request: Request) -> Request:
        """Return a recorded request with the known secrets and linked values filled in."""
        return self._secret_values.substitute(self._correlator.apply(number, request))


async def _send_http(entry: Entry, request: Request, connection: RequestConnection, timeout: float) -> Reply:
    """Send a request in its HTTP version; of a stream that the client closed, read as many frames as were recorded."""
    frames = frame_count(entry.response) if entry.response.body.cut == "client" else None
    if request.version == "HTTP/2" and is_grpc(request):
        waits = [wait for _, wait in client_waits(entry)] if is_interleaved(entry) else []
        return await http2_client.send(connection.port, request, timeout, frames, waits)
    return await connection.send(request, frames)


async def _wait(running: dict[int, asyncio.Task[None]], numbers: Iterable[int] | None) -> None:
    """Wait for these tasks, or for all if None, and remove those that are done. Raise the first error of a task."""
    waited = running.keys() if numbers is None else set(numbers) & running.keys()
    tasks = [running[number] for number in waited]
    if tasks:
        await asyncio.gather(*tasks)
    for number in [number for number, task in running.items() if task.done()]:
        await running.pop(number)
