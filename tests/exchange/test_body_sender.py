"""Bodies sent to a client that takes them, is slow, or whose flow has ended."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from proxy_policies.body import Pipeline
from proxy_policies.byte_streams.byte_stream import SocketStream
from proxy_policies.cache.incoming_body import IncomingBody, IncomingReader, Room
from proxy_policies.exchange.body_sender import BodySender
from proxy_policies.exchange.client_side import ClientLeft, ClientPresence, ResponseWriter
from proxy_policies.fields import NO_FIELDS
from proxy_policies.flows import flow_state
from proxy_policies.http1.plain_messages import RequestHead

LARGE = bytes(1000) * 4000


class Client:
    """A client, and what sends to it."""

    def __init__(self) -> None:
        ours, self._peer = socket.socketpair()
        for one in (ours, self._peer):
            one.setblocking(False)
        self.flow = tflow.tflow()
        self.stream = SocketStream(ours)
        self.writer = ResponseWriter(self.stream, RequestHead(b"GET", b"", b"/", NO_FIELDS, 0, True))
        self.presence = ClientPresence(self.flow, self.writer)
        self.sender = BodySender(self.flow, self.stream, self.writer, self.presence)

    def begin(self, length: int) -> None:
        response = http.Response.make(200)
        response.raw_content = None
        self.writer.send_head(response, length)

    async def receive(self, length: int) -> bytes:
        received, loop = b"", asyncio.get_running_loop()
        while len(received.partition(b"\r\n\r\n")[2]) < length:
            received += await asyncio.wait_for(loop.sock_recv(self._peer, 1 << 20), 100)
        return received.partition(b"\r\n\r\n")[2]

    def close(self) -> None:
        self.stream.fail_silently()
        self._peer.close()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    made.close()


class Source:
    """A stored body in pieces, of which the last may be an error."""

    def __init__(self, *pieces: bytes | OSError) -> None:
        self._pieces = [*pieces, b""]

    async def read(self) -> bytes:
        piece = self._pieces.pop(0)
        if isinstance(piece, OSError):
            raise piece
        return piece

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_stream_changes_what_is_sent(client: Client) -> None:
    def doubled(data: bytes) -> bytes | Iterable[bytes]:
        return [data, data] if data else b"end"

    client.begin(9)
    client.sender.kept = []
    await client.sender.send(b"abc", doubled)
    await client.sender.send(b"", doubled)
    await client.sender.end(doubled)
    await client.sender.finish()
    assert await client.receive(9) == b"abcabcend"
    assert client.sender.kept == [b"abc", b"abc", b"end"]


async def test_a_slow_client_holds_the_body_back(client: Client) -> None:
    client.begin(len(LARGE) + 1)
    sending = asyncio.create_task(client.sender.send(LARGE, True))
    await asyncio.wait({sending}, timeout=0.2)
    assert not sending.done()
    receiving = asyncio.create_task(client.receive(len(LARGE) + 1))
    await sending
    await client.sender.send(b"x", True)
    assert await receiving == LARGE + b"x"


async def test_a_slow_client_does_not_delay_others_with_the_same_request(client: Client) -> None:
    def backlog() -> tuple[IncomingBody, IncomingReader]:
        body = IncomingBody(Room(), lambda: None)
        return body, body.open_alone()

    state = flow_state.state_of(client.flow)
    state.wanted, state.backlog = lambda: True, backlog
    client.begin(2 * len(LARGE))
    for _ in range(2):
        await asyncio.wait_for(client.sender.send(LARGE, True), 100)
    receiving = asyncio.create_task(client.receive(2 * len(LARGE)))
    await client.sender.finish()
    assert await receiving == 2 * LARGE


async def test_a_client_that_leaves_is_not_waited_for(client: Client) -> None:
    client.begin(len(LARGE))
    sending = asyncio.create_task(client.sender.send(LARGE, True))
    await asyncio.wait({sending}, timeout=0.2)
    client.presence.left()
    with pytest.raises(ClientLeft):
        await sending


async def test_a_stored_body_is_sent_whole(client: Client) -> None:
    client.begin(6)
    await client.sender.send_stored(Source(b"abc", b"def"), Pipeline(), lambda: None)
    assert await client.receive(6) == b"abcdef"


async def test_a_stored_body_that_cannot_be_read_is_an_error(client: Client) -> None:
    client.begin(6)
    with pytest.raises(OSError, match="damaged"):
        await client.sender.send_stored(Source(b"abc", OSError("damaged")), Pipeline(), lambda: None)
    assert await client.receive(3) == b"abc"


async def test_nothing_is_sent_after_the_end_of_the_flow(client: Client) -> None:
    class Killed(Exception):
        """The flow was killed."""

    def check() -> None:
        raise Killed

    client.begin(6)
    with pytest.raises(Killed):
        await client.sender.send_stored(Source(b"abc", b"def"), Pipeline(), check)
    assert client.writer.body_sent == 0
