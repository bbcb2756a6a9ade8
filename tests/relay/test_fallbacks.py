"""Which way is taken is found by trying: each refusal leads to the next way, and no byte is lost on the way there."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import resource
import socket
import ssl
import sys
from collections.abc import Callable

import pytest
import trustme
from tests.support.relay_links import MakeEnd
from tests.support.relay_peers import receive, send, tcp_pair

from proxy_policies.relay import sockets, splice, streams
from proxy_policies.relay.link import ByteCounts, StreamEnd, relay_streams

pytestmark = pytest.mark.timeout(60)
linux = pytest.mark.skipif(sys.platform != "linux", reason="splice is Linux")


class Recorder:
    """Remembers which ways carried bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.used: list[str] = []
        for owner, name, label in (
            (splice.Splice, "drain", "splice"),
            (sockets.Copy, "drain", "copy"),
            (streams, "copy_until_eof", "streams"),
        ):
            monkeypatch.setattr(owner, name, self._wrap(getattr(owner, name), label))

    def _wrap(self, inner: Callable[..., object], label: str) -> Callable[..., object]:
        def wrapper(*args: object) -> object:
            if label not in self.used:
                self.used.append(label)
            return inner(*args)

        return wrapper


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return Recorder(monkeypatch).used


async def exchange(make_end: MakeEnd) -> None:
    """A megabyte each way, whole."""
    (a, client), (b, server) = await make_end(), await make_end()
    up, down = random.Random(1).randbytes(1 << 20), random.Random(2).randbytes(1 << 20)
    running = asyncio.create_task(relay_streams(a, b, idle=20))
    _, _, got_up, got_down = await asyncio.gather(
        send(client, up, random.Random(3)), send(server, down, random.Random(4)), receive(server), receive(client)
    )
    assert (got_up, got_down) == (up, down)
    counts = await running
    assert (counts.up, counts.down, counts.error) == (1 << 20, 1 << 20, "")


@linux
async def test_splice_is_the_first_choice(make_end: MakeEnd, used: list[str]) -> None:
    await exchange(make_end)
    assert used == ["splice"]


async def test_without_splice_bytes_are_copied(
    make_end: MakeEnd, used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "splice", raising=False)
    await exchange(make_end)
    assert used == ["copy"]


@linux
async def test_no_pipe_to_be_had(make_end: MakeEnd, used: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> tuple[int, int]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    splice.PIPES.close()
    monkeypatch.setattr(os, "pipe", refuse)
    await exchange(make_end)
    assert used == ["copy"]


@linux
async def test_pipes_limited_to_two_pages(make_end: MakeEnd, used: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    splice.PIPES.close()
    monkeypatch.setattr(splice, "_enlarge", lambda descriptor: 8192)
    await exchange(make_end)
    assert used == ["copy"]


@linux
async def test_pipes_that_may_not_grow_are_used_as_they_are(
    make_end: MakeEnd, used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    splice.PIPES.close()
    monkeypatch.setattr(splice, "PIPE_SIZE", 1 << 31)  # beyond every user's limit: refused
    await exchange(make_end)
    assert used == ["splice"]
    splice.PIPES.close()


@linux
@pytest.mark.parametrize("call", range(6))
async def test_splice_refused_at_any_call_loses_nothing(
    make_end: MakeEnd, used: list[str], monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    genuine, calls = os.splice, 0

    def refuse(*args: int, **keywords: int) -> int:
        nonlocal calls
        calls += 1
        if calls > call:
            raise OSError(errno.EINVAL, "not for these descriptors")
        return genuine(*args, **keywords)

    monkeypatch.setattr(os, "splice", refuse)
    await exchange(make_end)
    assert "copy" in used
    splice.PIPES.close()


async def test_no_descriptor_left_to_duplicate(make_end: MakeEnd, used: list[str]) -> None:
    (a, client), (b, server) = await make_end(), await make_end()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = [os.dup(0) for _ in range(200)]  # no gaps below the limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(spare) + 1, limits[1]))
    try:
        running = asyncio.create_task(relay_streams(a, b, idle=20))
        await send(client, b"up", random.Random(0))
        assert await receive(server) == b"up"
        await send(server, b"down", random.Random(0))
        assert await receive(client) == b"down"
        await running
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in spare:
            os.close(descriptor)
    assert used == ["streams"]


async def test_a_loop_that_watches_no_sockets(
    make_end: MakeEnd, used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [await make_end(), await make_end()]

    def refuse(*_: object) -> None:
        raise NotImplementedError

    async def made() -> tuple[StreamEnd, socket.socket]:
        return ends.pop()

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "remove_reader", refuse)
        (a, client), (b, server) = await made(), await made()
        running = asyncio.create_task(relay_streams(a, b, idle=20))
        a.reader.feed_data(b"up")
        a.reader.feed_eof()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert used == ["streams"]
    assert await receive(server) == b"up"
    server.close()
    assert await receive(client) == b""
    await running
    assert used == ["streams"]


async def test_tls_goes_through_streams(used: list[str]) -> None:
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)

    near, server = tcp_pair()
    b = StreamEnd(*await asyncio.open_connection(sock=near))
    result: asyncio.Future[ByteCounts] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        result.set_result(await relay_streams(StreamEnd(reader, writer), b, idle=20))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context) as listener:
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname(), ssl=client_context)
        writer.write(b"question")
        assert await asyncio.get_running_loop().sock_recv(server, 100) == b"question"
        await send(server, b"answer" * 200_000, random.Random(0))
        assert await reader.read(-1) == b"answer" * 200_000  # a full close is TLS's end of file
        writer.close()
        assert await receive(server) == b""
        counts = await result
    server.close()
    b.writer.close()
    assert used == ["streams"]
    assert (counts.up, counts.down) == (8, 1_200_000)


def test_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    uvloop = pytest.importorskip("uvloop")
    recorder = Recorder(monkeypatch)

    async def main() -> None:
        made = []

        async def make() -> tuple[StreamEnd, socket.socket]:
            near, far = tcp_pair()
            made.append((StreamEnd(*await asyncio.open_connection(sock=near)), far))
            return made[-1]

        await exchange(make)
        for end, far in made:
            end.writer.close()
            far.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(main(), 100))
    assert recorder.used == (["splice"] if sys.platform == "linux" else ["copy"])


def test_movers_are_in_the_order_of_their_speed() -> None:
    near, far = tcp_pair()
    with near, far:
        makers = sockets.transfers(near, far)
        assert isinstance(makers[-1](), sockets.Copy)
