"""A gRPC call replayed by turns: its server speaks when it has received as much from its client as it had then.

Which recording answers shows as the client speaks: those that began as the call did are kept as long as they fit.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from proxy_policies.capture.streams.frames import Framing, split
from proxy_policies.capture.streams.interleaving import Kind, Step

LOOK = 1.0
"""Seconds between looks whether a client that says nothing is still there."""
CANDIDATES = 16
"""Recordings of one method that are looked at for a call."""

type Compare = Callable[[bytes, bytes], str | None]
"""Returns how a message differs from the recorded one, empty when not at all; None when it does not stand for it."""


class NotRecorded(Exception):
    """No recording goes on as the call does; the text says where."""


@dataclass(slots=True)
class Turns:
    """How far a call has come, and the recordings that went the same way; the first of them is played."""

    candidates: Mapping[int, Sequence[Step]]
    compare: Compare
    differences: list[str] = field(default_factory=list)
    """Where the client's messages were others than those recorded, and stand for them all the same."""
    _position: int = 0
    _heard: int = 0  # of the client's messages

    @property
    def number(self) -> int:
        """The recording that is played."""
        return next(iter(self.candidates))

    @property
    def step(self) -> Step | None:
        """What comes next; None when nothing more was recorded."""
        return self._step_of(self.candidates[self.number], 0)

    @property
    def gap(self) -> float:
        """The seconds between the step before and this one."""
        before, step = self._step_of(self.candidates[self.number], -1), self.step
        return max(0.0, step.time - before.time) if before is not None and step is not None else 0.0

    def _step_of(self, steps: Sequence[Step], ahead: int) -> Step | None:
        position = self._position + ahead
        return steps[position] if 0 <= position < len(steps) else None

    def server_did(self) -> None:
        """Go on: what was next has been sent. Recordings in which it is something else are none of this call."""
        said = self.step
        self._go_on(
            [number for number, step in self._next() if said and (step.kind, step.data) == (said.kind, said.data)]
        )

    def client_did(self, kind: Kind, data: bytes) -> None:
        """Take what the client did. Raises NotRecorded when no recording goes on like that."""
        wanted = self.step
        found = {number: self.compare(step.data, data) for number, step in self._next() if step.kind is kind}
        fitting = {number: difference for number, difference in found.items() if difference is not None}
        where = f"message {self._heard + 1}"
        if not fitting:
            raise NotRecorded(f"{where}: recorded {_shown(wanted)}, got {_shown(Step(kind, 0.0, data))}")
        self._go_on(sorted(fitting, key=lambda number: bool(fitting[number])))  # first those that say just this
        self._heard += 1
        if difference := fitting[self.number]:
            self.differences.append(f"{where}: {difference}")

    def _next(self) -> Iterator[tuple[int, Step]]:
        for number, steps in self.candidates.items():
            if (step := self._step_of(steps, 0)) is not None:
                yield number, step

    def _go_on(self, numbers: Iterable[int]) -> None:
        self.candidates = {number: self.candidates[number] for number in numbers}
        self._position += 1


def _shown(step: Step | None) -> str:
    if step is None:
        return "nothing more"
    return f"{len(step.data)} octets" if step.kind is Kind.CLIENT else f"that {step.kind.value}"


class ClientSteps:
    """A tap of a request's body: what its client does, message by message, as it comes."""

    def __init__(self) -> None:
        self._rest = b""
        self._steps: deque[tuple[Kind, bytes]] = deque()
        self._come = asyncio.Event()
        self.has_left = False

    def feed(self, data: bytes) -> None:
        """Take a chunk."""
        frames, self._rest = split(self._rest + data, Framing.MESSAGES)
        self._steps.extend((Kind.CLIENT, frame) for frame in frames)
        self._come.set()

    def finish(self) -> None:
        """Learn that the body came whole."""
        self._steps.append((Kind.CLIENT_END, b""))
        self._come.set()

    def abort(self) -> None:
        """Learn that the client has left."""
        self.has_left = True
        self._come.set()

    async def next(self, over: asyncio.Event) -> tuple[Kind, bytes]:
        """Return what the client does next. Raises OSError when it leaves, or the replay is `over`."""
        while not self._steps:
            if self.has_left or over.is_set():
                raise OSError("the replay is over")
            self._come.clear()
            await asyncio.wait({waiting := asyncio.ensure_future(self._come.wait())}, timeout=LOOK)
            waiting.cancel()
        return self._steps.popleft()


class InterleavedSource:
    """The body of an answer that comes by turns with the request. `over` ends it.

    `ended` is called with the recording it began with, once all is said, and why it was not all.
    """

    def __init__(
        self, turns: Turns, client: ClientSteps, over: asyncio.Event, speed: float, ended: Callable[[int, str], None]
    ) -> None:
        self._turns = turns
        self._client = client
        self._over = over
        self._speed = speed
        self._ended = ended
        self._begun = -1

    async def begin(self) -> int:
        """Wait until the server sends its head; return the recording's number. Raises NotRecorded, OSError."""
        await self._until_server()
        await self._pause()
        self._begun = self._turns.number
        self._turns.server_did()
        return self._begun

    async def read(self) -> bytes:
        """Return the next message once it is due, b"" at the end. Raises OSError where the call is broken off."""
        try:
            step = await self._until_server()
        except NotRecorded as error:
            self._ended(self._begun, str(error))
            raise OSError(str(error)) from None
        await self._pause()
        if step.kind is Kind.SERVER_END:
            self._ended(self._begun, "")
            return b""
        self._turns.server_did()
        return step.data

    async def _until_server(self) -> Step:
        while (step := self._turns.step) is None or step.kind.is_client:
            self._turns.client_did(*await self._client.next(self._over))
        return step

    async def _pause(self) -> None:
        if self._speed:
            await asyncio.sleep(self._turns.gap / self._speed)

    async def close(self) -> None:
        """Let go of it."""
        self._turns.candidates = {}
