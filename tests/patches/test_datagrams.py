"""Streams of datagrams: what is empty, what is an end, and what the next session gets."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from proxy_policies.patches import datagrams
from proxy_policies.patches.datagrams import DatagramStream


class Stream:
    """As mitmproxy_rs has them: one read at a time, and b"" for an empty datagram as for the end."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes] = asyncio.Queue()
        self.is_closed = False
        self._is_read = False

    async def read(self, limit: int) -> bytes:
        assert not self._is_read
        self._is_read = True
        data = await self.came.get()
        self._is_read = False
        return data

    async def drain(self) -> None:
        if self.is_closed:
            raise OSError("connection closed")

    def close(self) -> None:
        self.is_closed = True
        self.came.put_nowait(b"")

    def is_closing(self) -> bool:
        return self.is_closed


def run(test: Callable[[Stream, DatagramStream], Coroutine[Any, Any, None]]) -> None:
    async def made() -> None:
        stream = Stream()
        await test(stream, DatagramStream(stream))

    asyncio.run(made())


def test_an_empty_datagram_is_no_end() -> None:
    async def test(stream: Stream, reader: DatagramStream) -> None:
        stream.came.put_nowait(b"")
        assert (datagram := await reader.read(1)) == b""
        assert datagram
        stream.close()
        assert not await reader.read(1)

    run(test)


def test_a_stream_that_was_forgotten_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(stream: Stream, reader: DatagramStream) -> None:
        monkeypatch.setattr(datagrams, "STREAM_LIFETIME", -1.0)
        stream.came.put_nowait(b"")
        assert not await reader.read(1)

    run(test)


def test_the_next_session_gets_what_the_last_one_did_not_read() -> None:
    async def test(stream: Stream, reader: DatagramStream) -> None:
        reading = asyncio.ensure_future(reader.read(1))
        await asyncio.sleep(0)
        reading.cancel()
        reader.close()
        assert reader.is_closing()
        stream.came.put_nowait(b"next")
        assert await reader.next_arrives()
        reader.reopen()
        assert (reader.is_closing(), await reader.read(1)) == (False, b"next")

    run(test)


def test_a_datagram_begins_no_session_after_one_that_did_not_read_it() -> None:
    async def test(stream: Stream, reader: DatagramStream) -> None:
        stream.came.put_nowait(b"unread")
        assert await reader.next_arrives()
        reader.reopen()
        reader.close()
        waiting = asyncio.ensure_future(reader.next_arrives())
        await asyncio.wait({waiting}, timeout=0.01)
        assert not waiting.done()
        stream.came.put_nowait(b"next")
        assert await waiting
        assert await reader.read(1) == b"next"

    run(test)


def test_nothing_comes_after_the_end() -> None:
    async def test(stream: Stream, reader: DatagramStream) -> None:
        reader.close()
        reader.discard()
        assert not await reader.next_arrives()

    run(test)
