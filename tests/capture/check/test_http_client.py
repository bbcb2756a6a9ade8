"""Requests sent again over HTTP/1.1, and the streams that come of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy_policies.capture.check.http_client import Connection, SendError, head_and_body
from proxy_policies.capture.model import Body, Request

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


ONE, TWO = chunk(b": alive\n\ndata: 1\n\n"), chunk(b"data: 2\n\n")


@asynccontextmanager
async def answering(answer: bytes, stays: bool = False) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if stays:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


REQUEST = Request("GET", "http://a.test/x#part", (("X-A", "1"), ("Connection", "close")))


async def test_a_stream_is_taken_as_far_as_it_is_wanted() -> None:
    async with answering(HEAD + ONE + TWO + ONE, stays=True) as port:
        connection = Connection(port, 20)
        body = (await connection.send(REQUEST, frames=2)).response.body
        none = (await connection.send(REQUEST, frames=0)).response.body
        await connection.close()
    assert body.content.startswith(b": alive\n\ndata: 1\n\ndata: 2\n\n")
    assert (body.cut, none.cut) == ("client", "client")


async def test_a_stream_that_breaks_off_or_does_not_end_is_what_has_come() -> None:
    async with answering(HEAD + ONE) as port:
        assert (await Connection(port, 20).send(REQUEST)).response.body.cut == "server"
    async with answering(HEAD + ONE, stays=True) as port:
        connection = Connection(port, 0.3)
        assert (await connection.send(REQUEST)).response.body.cut == "not over within 0.3 s"


async def test_anything_else_must_come_whole() -> None:
    async with answering(PLAIN) as port:
        with pytest.raises(SendError, match="no whole answer"):
            await Connection(port, 20).send(REQUEST)
    async with answering(PLAIN, stays=True) as port:
        with pytest.raises(SendError, match=r"no answer within 0\.3 s"):
            await Connection(port, 0.3).send(REQUEST)


def test_a_request_is_written_as_it_was_recorded() -> None:
    assert head_and_body(REQUEST) == b"GET http://a.test/x HTTP/1.1\r\nX-A: 1\r\n\r\n"
    posted = Request("POST", "http://a.test/", (("content-LENGTH", "9"),), Body(b"1234"))
    assert head_and_body(posted) == b"POST http://a.test/ HTTP/1.1\r\ncontent-LENGTH: 4\r\n\r\n1234"
