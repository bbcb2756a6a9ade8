"""What every stream does with what has come."""

import asyncio

from proxy_policies.byte_streams.byte_stream import READ_AHEAD, ByteStream


class Fed(ByteStream):
    """A stream whose input the test supplies."""

    sock, is_closed, unsent = None, False, 0

    def __init__(self) -> None:
        super().__init__()
        self.is_reading = False

    def _read_on(self) -> None:
        self.is_reading = True

    def stop_reading(self) -> None:
        self.is_reading = False

    def write(self, *pieces: bytes) -> None: ...

    async def drain(self) -> None: ...

    def end_sending(self) -> None: ...

    def close(self, *, says_end: bool = True) -> None: ...

    reset = fail_silently = end_sending


async def test_data_without_a_waiter_calls_the_callback() -> None:
    stream, told = Fed(), []
    stream.on_readable = lambda: told.append(bytes(stream.received))
    stream.start_reading()
    assert stream.is_reading
    stream.feed(b"one")
    stream.notify()
    assert told == [b"one"]
    assert (stream.take(), stream.take(), stream.total_received) == (b"one", b"", 3)


async def test_data_wakes_a_waiter_instead_of_calling_the_callback() -> None:
    stream = Fed()
    stream.on_readable = lambda: pytest_fail("there is a waiter")
    waiting = stream.wait()
    stream.feed(b"one")
    stream.notify()
    assert await waiting is True
    waiting = stream.wait(100)
    stream.is_at_end = True
    stream.notify()
    assert await waiting is False
    assert await stream.wait() is False


def pytest_fail(why: str) -> None:
    raise AssertionError(why)


async def test_time_is_up() -> None:
    stream = Fed()
    assert await stream.wait(0.01) is None
    assert await asyncio.wait_for(asyncio.shield(stream.wait(-1)), 100) is None


async def test_no_more_is_kept_than_is_wanted() -> None:
    stream = Fed()
    stream.start_reading()
    stream.feed(bytes(READ_AHEAD - 1))
    before = stream.is_reading
    stream.feed(b"1")
    full = stream.is_reading
    stream.start_reading()
    still_full = stream.is_reading
    stream.wait()
    assert (before, full, still_full, stream.is_reading) == (True, False, False, True)
