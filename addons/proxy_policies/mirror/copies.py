"""Copies for the candidate: queued, sent and compared, within limits, and without delaying clients."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from proxy_policies.background.tasks import spawn
from proxy_policies.capture.bodies.content_coding import decode_bodies
from proxy_policies.capture.check.http_client import SendError
from proxy_policies.capture.check.outcome import CompareOptions, Outcome, evaluate
from proxy_policies.capture.check.results import SendResult
from proxy_policies.capture.check.targets import CheckTarget
from proxy_policies.capture.model import Entry, Request, Response
from proxy_policies.capture.secrets.redact import Redactor
from proxy_policies.mirror.candidates import as_copy, without_secret_fields

logger = logging.getLogger(__name__)

IN_FLIGHT = 8
"""Copies that are sent simultaneously; nginx's mirror has no limit, and slows its clients down."""
QUEUED = 100
"""Copies waiting to be sent; further ones are dropped and counted."""
KEPT = 1000
"""Outcomes kept for the report; different responses take precedence over equal ones."""

type Send = Callable[[Request], Awaitable[tuple[Response, float]]]
"""Sends a request to the candidate; returns its response, and the seconds it took. Raises SendError."""


@dataclass(slots=True)
class Copies:
    """Sends copies with `send`, and compares the responses. `changed` is called when the report has changed."""

    target: str
    send: Send
    redactor: Redactor
    rules: CompareOptions
    limit: int
    with_credentials: bool
    changed: Callable[[], None]
    counts: Counter[str] = field(default_factory=Counter)
    outcomes: deque[Outcome] = field(default_factory=lambda: deque(maxlen=KEPT))
    same: deque[Outcome] = field(default_factory=lambda: deque(maxlen=KEPT))
    _queue: deque[Entry] = field(default_factory=deque)
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "mirror"))

    def offer(self, entry: Entry) -> None:
        """Queue a copy of an exchange's request, or drop it if the queue is full."""
        if len(self._queue) >= QUEUED:
            self.drop("too many wait")
            return
        self._queue.append(entry)
        if len(self._running) < IN_FLIGHT:
            task = spawn(self._work())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def drop(self, why: str) -> None:
        """Count a request that is not copied."""
        self.counts[f"not copied: {why}"] += 1
        self.changed()

    def close(self) -> None:
        """Stop sending, and drop the queue."""
        for task in self._running:
            task.cancel()
        self._queue.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        while self._queue:
            try:
                await self._copy(self._queue.popleft())
            except Exception:  # continue with the next copy
                logger.exception("a copy could not be compared")
                self.drop("failed to compare")

    async def _copy(self, entry: Entry) -> None:
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._thread, self._prepared, entry)
        if prepared is None:
            self.drop("credentials in its URL or body")
            return
        target = CheckTarget(entry.request.origin, self.target)
        try:
            response, seconds = await self.send(target.to_live(prepared))
        except SendError as error:
            self._note(await loop.run_in_executor(self._thread, self._failed, entry, str(error)))
            return
        live = target.to_recorded(response)
        self._note(await loop.run_in_executor(self._thread, self._compared, entry, live, seconds))

    def _prepared(self, entry: Entry) -> Request | None:
        request = entry.request if self.with_credentials else without_secret_fields(entry.request, self.redactor)
        return None if request is None else as_copy(request, "proxy-policies")

    def _compared(self, entry: Entry, live: Response, seconds: float) -> Outcome:
        recorded = self.redactor.entry(decode_bodies(entry, self.limit))
        now = self.redactor.entry(replace(entry, response=live)).response
        sent = SendResult(now, seconds)
        number = self.counts["copied"]
        return evaluate(number, recorded.request, recorded.response, entry.times.seconds, sent, self.rules)

    def _failed(self, entry: Entry, error: str) -> Outcome:
        recorded = self.redactor.entry(decode_bodies(entry, self.limit))
        sent = SendResult(error=error)
        return evaluate(self.counts["copied"], recorded.request, recorded.response, 0, sent, self.rules)

    def _note(self, outcome: Outcome) -> None:
        self.counts["copied"] += 1
        self.counts[outcome.verdict] += 1
        (self.same if outcome.verdict == "same" else self.outcomes).append(outcome)
        self.changed()

    def summary(self) -> str:
        """Return the numbers of copies by outcome, in one line."""
        counts = dict(self.counts)
        head = [f"{counts.pop(name, 0)} {text}" for name, text in (("copied", "copied"), ("same", "the same"))]
        rest = [f"{count} {name}" for name, count in sorted(counts.items())]
        return f"mirror to {urlsplit(self.target).netloc}: {', '.join([*head, *rest])}"
