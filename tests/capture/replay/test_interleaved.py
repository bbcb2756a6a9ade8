"""A gRPC call replayed by turns."""

import asyncio

import pytest

from proxy_policies.capture.replay.interleaved import ClientSteps, InterleavedCall, InterleavedSource, NotRecorded
from proxy_policies.capture.streams.interleaving import CallStep, StepKind

HEAD, END, DONE = CallStep(StepKind.HEAD, 1.0), CallStep(StepKind.CLIENT_END, 8.0), CallStep(StepKind.SERVER_END, 9.0)


def asks(text: bytes) -> CallStep:
    return CallStep(StepKind.CLIENT, 0.0, message(text))


def says(text: bytes) -> CallStep:
    return CallStep(StepKind.SERVER, 0.0, message(text))


def message(text: bytes) -> bytes:
    return b"\0" + len(text).to_bytes(4) + text


def compare(recorded: bytes, got: bytes) -> str | None:
    """Let messages stand for each other that begin with `id`."""
    if recorded == got:
        return ""
    return "another id" if recorded[5:].startswith(b"id") and got[5:].startswith(b"id") else None


CALLS = {
    3: [asks(b"one"), HEAD, says(b"ONE"), asks(b"two"), says(b"TWO"), END, DONE],
    5: [asks(b"one"), HEAD, says(b"ONE"), asks(b"three"), says(b"THREE"), END, DONE],
    6: [asks(b"one"), HEAD, says(b"other"), asks(b"four"), END, DONE],
    7: [asks(b"id 1"), HEAD, says(b"ID"), END, DONE],
    8: [asks(b"id 2"), HEAD, says(b"ID"), END, DONE],
}


class Call:
    """A live call, and its log."""

    def __init__(self, speed: float = 0.0) -> None:
        self.turns = InterleavedCall(dict(CALLS), compare)
        self.client, self.over = ClientSteps(), asyncio.Event()
        self.ended: list[tuple[int, str]] = []
        self.source = InterleavedSource(
            self.turns, self.client, self.over, speed, lambda begun, why: self.ended.append((begun, why))
        )


async def test_which_recording_it_is_shows_as_the_client_goes_on() -> None:
    call = Call()
    call.client.feed(message(b"one")[:3])
    call.client.feed(message(b"one")[3:])
    assert await call.source.start() == 3
    assert await call.source.read() == message(b"ONE")
    reading = asyncio.ensure_future(call.source.read())
    await asyncio.sleep(0)
    assert not reading.done(), "it is the client's turn"
    call.client.feed(message(b"three"))
    assert await reading == message(b"THREE")
    call.client.finish()
    assert await call.source.read() == b""
    assert (call.turns.number, call.ended, call.turns.differences) == (5, [(3, "")], [])
    await call.source.close()


@pytest.mark.parametrize(("said", "number", "differences"), [(b"id 2", 8, []), (b"id 3", 7, ["message 1: another id"])])
async def test_the_recording_that_says_just_this_comes_first(said: bytes, number: int, differences: list[str]) -> None:
    call = Call()
    call.client.feed(message(said))
    assert await call.source.start() == number
    assert call.turns.differences == differences


@pytest.mark.parametrize(
    ("said", "why"),
    [(b"four", "message 2: recorded 8 bytes, got 9 bytes"), (None, "recorded 8 bytes, got that the client ended")],
)
async def test_a_client_that_says_something_else_is_broken_off(said: bytes | None, why: str) -> None:
    call = Call()
    call.client.feed(message(b"one"))
    await call.source.start()
    await call.source.read()
    call.client.feed(message(said)) if said else call.client.finish()
    with pytest.raises(OSError, match=why):
        await call.source.read()
    assert why in call.ended[0][1]


async def test_what_nothing_recorded_begins_with_is_said_before_there_is_an_answer() -> None:
    call = Call()
    call.client.feed(message(b"nothing like it"))
    with pytest.raises(NotRecorded, match="message 1"):
        await call.source.start()
    assert call.ended == []


@pytest.mark.parametrize("is_over", [True, False])
async def test_a_client_that_leaves_is_waited_for_no_more(is_over: bool) -> None:
    call = Call()
    beginning = asyncio.ensure_future(call.source.start())
    await asyncio.sleep(0)
    call.over.set() if is_over else call.client.abort()
    with pytest.raises(OSError, match="over"):
        await beginning


async def test_the_server_takes_its_time_at_its_speed() -> None:
    call = Call(speed=100.0)
    call.client.feed(message(b"one"))
    began = asyncio.get_running_loop().time()
    await call.source.start()
    assert asyncio.get_running_loop().time() - began >= 0.01, "the head came a second after the message"
