"""Replaying a gRPC call whose messages are interleaved: the server sends once it has received as much as recorded.

Recordings that start as the call does are candidates, and are dropped once a message does not match.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from proxy_policies.capture.streams.frames import FrameFormat, split
from proxy_policies.capture.streams.interleaving import CallStep, StepKind
from proxy_policies.log_lines import quantity

POLL_INTERVAL = 1.0
"""Seconds between checks whether an idle client is still connected."""
MAX_CANDIDATES = 16
"""Recordings that are compared with a call."""

type Compare = Callable[[bytes, bytes], str | None]
"""Returns how a message differs from the recorded one, empty if it does not; None if it does not match."""


class NotRecorded(Exception):
    """No recording continues as the call does; the text says where."""


@dataclass(slots=True)
class InterleavedCall:
    """The state of a call, and the recordings that match it so far; the first of them is replayed."""

    candidates: Mapping[int, Sequence[CallStep]]
    compare: Compare
    differences: list[str] = field(default_factory=list)
    """Differences of the client's messages that match all the same."""
    _position: int = 0
    _client_messages: int = 0

    @property
    def number(self) -> int:
        """The number of the recording that is replayed."""
        return next(iter(self.candidates))

    @property
    def step(self) -> CallStep | None:
        """The next step; None at the end of the recording."""
        return self._step_of(self.candidates[self.number], 0)

    @property
    def delay(self) -> float:
        """The seconds between the previous step and the next one."""
        before, step = self._step_of(self.candidates[self.number], -1), self.step
        return max(0.0, step.time - before.time) if before is not None and step is not None else 0.0

    def _step_of(self, steps: Sequence[CallStep], ahead: int) -> CallStep | None:
        position = self._position + ahead
        return steps[position] if 0 <= position < len(steps) else None

    def on_server_step(self) -> None:
        """Advance: the next step was sent. Drop the recordings in which it is another one."""
        sent = self.step
        self._advance(
            [number for number, step in self._next() if sent and (step.kind, step.data) == (sent.kind, sent.data)]
        )

    def on_client_step(self, kind: StepKind, data: bytes) -> None:
        """Advance by a step of the client, and drop recordings that do not match. Raise NotRecorded if all are."""
        expected = self.step
        found = {number: self.compare(step.data, data) for number, step in self._next() if step.kind is kind}
        matching = {number: difference for number, difference in found.items() if difference is not None}
        where = f"message {self._client_messages + 1}"
        if not matching:
            raise NotRecorded(f"{where}: recorded {_shown(expected)}, got {_shown(CallStep(kind, 0.0, data))}")
        self._advance(sorted(matching, key=lambda number: bool(matching[number])))  # equal ones first
        self._client_messages += 1
        if difference := matching[self.number]:
            self.differences.append(f"{where}: {difference}")

    def _next(self) -> Iterator[tuple[int, CallStep]]:
        for number, steps in self.candidates.items():
            if (step := self._step_of(steps, 0)) is not None:
                yield number, step

    def _advance(self, numbers: Iterable[int]) -> None:
        self.candidates = {number: self.candidates[number] for number in numbers}
        self._position += 1


def _shown(step: CallStep | None) -> str:
    if step is None:
        return "nothing more"
    return quantity(len(step.data), "byte") if step.kind is StepKind.CLIENT else f"that {step.kind.value}"


class ClientSteps:
    """A tap of a request's body that queues the client's steps."""

    def __init__(self) -> None:
        self._rest = b""
        self._steps: deque[tuple[StepKind, bytes]] = deque()
        self._changed = asyncio.Event()
        self.has_left = False

    def feed(self, data: bytes) -> None:
        """Add a chunk of the body."""
        frames, self._rest = split(self._rest + data, FrameFormat.MESSAGES)
        self._steps.extend((StepKind.CLIENT, frame) for frame in frames)
        self._changed.set()

    def finish(self) -> None:
        """Note the end of the body."""
        self._steps.append((StepKind.CLIENT_END, b""))
        self._changed.set()

    def abort(self) -> None:
        """Note that the client has disconnected."""
        self.has_left = True
        self._changed.set()

    async def next(self, stopped: asyncio.Event) -> tuple[StepKind, bytes]:
        """Return the client's next step. Raise OSError if it disconnects, or the replay is `stopped`."""
        while not self._steps:
            if self.has_left or stopped.is_set():
                raise OSError("the replay is over")
            self._changed.clear()
            await asyncio.wait({waiting := asyncio.ensure_future(self._changed.wait())}, timeout=POLL_INTERVAL)
            waiting.cancel()
        return self._steps.popleft()


class InterleavedSource:
    """The body of a response that is interleaved with the request; the event `stopped` ends it.

    `on_end` is called with the number of the recording that it started with, and the reason if it was not completed.
    """

    def __init__(
        self,
        call: InterleavedCall,
        client: ClientSteps,
        stopped: asyncio.Event,
        speed: float,
        on_end: Callable[[int, str], None],
    ) -> None:
        self._call = call
        self._client = client
        self._stopped = stopped
        self._speed = speed
        self._on_end = on_end
        self._first = -1

    async def start(self) -> int:
        """Wait until the head is to be sent; return the number of the recording. Raise NotRecorded, OSError."""
        await self._until_server()
        await self._pause()
        self._first = self._call.number
        self._call.on_server_step()
        return self._first

    async def read(self) -> bytes:
        """Return the next message once it is due, b"" at the end. Raise OSError where the call was broken off."""
        try:
            step = await self._until_server()
        except NotRecorded as error:
            self._on_end(self._first, str(error))
            raise OSError(str(error)) from None
        await self._pause()
        if step.kind is StepKind.SERVER_END:
            self._on_end(self._first, "")
            return b""
        self._call.on_server_step()
        return step.data

    async def _until_server(self) -> CallStep:
        while (step := self._call.step) is None or step.kind.is_client:
            self._call.on_client_step(*await self._client.next(self._stopped))
        return step

    async def _pause(self) -> None:
        if self._speed:
            await asyncio.sleep(self._call.delay / self._speed)

    async def close(self) -> None:
        """Release the recordings."""
        self._call.candidates = {}
