"""A conversation held again with a real WebSocket server: what came of it, whatever it is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from proxy_policies.capture.check.http_client import SendError
from proxy_policies.capture.check.websocket_client import replay_conversation
from proxy_policies.capture.model import Request, Response, WebSocketMessage
from proxy_policies.capture.websocket.transcript import Transcript

type Server = Callable[[ServerConnection], Awaitable[None]]
said = partial(WebSocketMessage, True, True, time=0)
answered = partial(WebSocketMessage, False, True, time=0)
SHAKEN = Response(101, "", (("Upgrade", "websocket"),))
REQUEST = Request(
    "GET", "http://chat.test/room",
    (("Sec-WebSocket-Key", "old"), ("Sec-WebSocket-Extensions", "permessage-deflate"), ("X-A", "1")),
)  # fmt: skip


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[int]:
    async with serve(server, "127.0.0.1", 0) as listening:
        yield next(iter(listening.sockets)).getsockname()[1]


async def replayed(server: Server, recorded: Transcript, timeout: float = 60) -> Transcript:
    async with serving(server) as port:
        return (await replay_conversation(port, REQUEST, recorded, timeout))[0]


def heard(transcript: Transcript) -> list[tuple[bool, bytes]]:
    return [(message.text, message.data) for message in transcript.messages]


async def test_each_message_is_said_when_as_many_have_come() -> None:
    order: list[str] = []

    async def talk(connection: ServerConnection) -> None:
        await connection.send("welcome")
        for answer in ("one", b"\x00\xff"):
            order.append(str(await connection.recv()))
            await connection.send(answer)
        with pytest.raises(ConnectionClosed) as end:
            await connection.recv()
        assert end.value.rcvd
        order.append(f"{end.value.rcvd.code} {end.value.rcvd.reason}")

    messages = [answered(b"hello"), said(b"a"), answered(b"1"), WebSocketMessage(True, False, b"b", 0), answered(b"2")]
    found = await replayed(talk, Transcript(SHAKEN, messages, 4000, "done", True))
    assert heard(found) == [(True, b"welcome"), (True, b"one"), (False, b"\x00\xff")]
    assert (found.response.status, found.closed_by_client) == (101, True)
    assert order == ["a", "b'b'", "4000 done"]


async def test_the_handshake_is_new_and_compresses_nothing() -> None:
    async def look(connection: ServerConnection) -> None:
        assert connection.request
        fields = connection.request.headers
        await connection.send(
            f"{fields['X-A']} {fields['Sec-WebSocket-Key'] != 'old'} {connection.protocol.extensions}"
        )

    found = await replayed(look, Transcript(SHAKEN, [answered(b"")], closed_by_client=False))
    assert heard(found) == [(True, b"1 True []")]


async def test_how_the_server_ended_it_is_kept() -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.send("bye")
        await connection.close(4001, "enough")

    found = await replayed(leave, Transcript(SHAKEN, [answered(b"a"), answered(b"b"), said(b"c")], 1000, "", True))
    assert (found.close_code, found.close_reason, found.closed_by_client) == (4001, "enough", False)
    assert heard(found) == [(True, b"bye")]


async def test_more_than_was_recorded_comes_too() -> None:
    async def talk(connection: ServerConnection) -> None:
        for number in range(5):
            await connection.send(str(number))

    assert len((await replayed(talk, Transcript(SHAKEN, [answered(b"0")], closed_by_client=False))).messages) == 5


async def test_a_message_in_many_frames_is_one() -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(["ab", "ü", "c" * 200_000])

    found = await replayed(talk, Transcript(SHAKEN, [answered(b"")], closed_by_client=False))
    assert heard(found) == [(True, "abü".encode() + b"c" * 200_000)]


async def test_a_server_that_says_no_more_ends_it_at_the_timeout() -> None:
    async def wait(connection: ServerConnection) -> None:
        await connection.send("one")
        await connection.wait_closed()

    found = await replayed(wait, Transcript(SHAKEN, [answered(b"1"), answered(b"2"), said(b"a")]), timeout=5)
    assert (heard(found), found.closed_by_client) == ([(True, b"one")], None)


async def raw(answer: bytes) -> Transcript:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        return (
            await replay_conversation(port, REQUEST, Transcript(SHAKEN, [answered(b"a")], closed_by_client=False), 60)
        )[0]


async def test_an_answer_that_is_no_handshake_is_what_came() -> None:
    found = await raw(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    assert (found.response.status, found.messages) == (403, ())


HEAD = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0\r\n\r\n", HEAD[:-2]], ids=["nothing", "no HTTP", "half a head"])
async def test_what_is_no_conversation_is_an_error(answer: bytes) -> None:
    with pytest.raises(SendError, match="incomplete conversation"):
        await raw(answer)


async def test_no_server() -> None:
    async with serving(lambda _: asyncio.sleep(0)) as port:
        pass
    with pytest.raises(SendError, match="no connection"):
        await replay_conversation(port, REQUEST, Transcript(SHAKEN), 60)


async def test_what_comes_with_the_handshake_is_heard() -> None:
    found = await raw(HEAD + b"\x81\x02hi\x88\x02\x03\xe8")
    assert (heard(found), found.close_code, found.closed_by_client) == ([(True, b"hi")], 1000, False)


async def test_an_end_without_a_close_frame() -> None:
    found = await raw(HEAD + b"\x81\x02hi")
    assert (found.close_code, found.closed_by_client) == (1006, False)
