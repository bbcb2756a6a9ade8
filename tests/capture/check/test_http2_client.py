"""A gRPC call sent again over HTTP/2, through a proxy's tunnel."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived
from tests.support.h2_origin import TrailingOrigin

from proxy_policies.capture.check import http2_client
from proxy_policies.capture.check.http_client import SendError
from proxy_policies.capture.model import Body, Request

MESSAGES = [b"\0\0\0\0\x04\x0a\x02hi", b"\0\0\0\0\x05\x0a\x03you"]
HEADERS = (("content-type", "application/grpc"), ("TE", "trailers"), ("Connection", "close"))


@pytest.fixture
def grpc_origin(ca: trustme.CA) -> TrailingOrigin:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    fields = [("content-type", "application/grpc")]
    return TrailingOrigin(tls, fields, b"".join(MESSAGES), [("grpc-status", "0")])


@asynccontextmanager
async def tunnels(answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> AsyncIterator[int]:
    """Be a proxy that opens every tunnel, or gives another answer; yield its port."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode().rpartition(":")
        writer.write(answer)
        if b" 200 " in answer:
            there, back = await asyncio.open_connection(host, int(port))
            await asyncio.gather(copy(reader, back), copy(there, writer))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def request(url: str, body: bytes = b"") -> Request:
    return Request("POST", f"{url}/shop.Cart/Add", HEADERS, Body(body), "HTTP/2")


async def test_a_call_with_its_trailers(grpc_origin: TrailingOrigin) -> None:
    async with tunnels() as port:
        reply = await http2_client.send(port, request(grpc_origin.url, b"x" * 100_000), 20)
        some = await http2_client.send(port, request(grpc_origin.url), 20, frames=1)
    assert (reply.response.status, reply.response.version) == (200, "HTTP/2")
    assert reply.response.body.content == b"".join(MESSAGES)
    assert reply.response.trailers == (("grpc-status", "0"),)
    assert some.response.body.cut == "client"
    grpc_origin.close()


REFUSED: dict[str, tuple[Callable[[int], str], bytes, str]] = {
    "no tunnel": (lambda _: "https://127.0.0.1:9", b"HTTP/1.1 502 Bad\r\n\r\n", "answered 502"),
    "no answer": (lambda _: "https://127.0.0.1:9", b"", "closed the connection"),
    "not TLS": (lambda _: "http://127.0.0.1:9", b"", "over https only"),
}


@pytest.mark.parametrize(("url", "answer", "why"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_sent_says_why(url: Callable[[int], str], answer: bytes, why: str) -> None:
    async with tunnels(answer) as port:
        with pytest.raises(SendError, match=why):
            await http2_client.send(port, request(url(port)), 20)


async def test_each_message_waits_for_as_much_of_the_answer_as_it_did(ca: trustme.CA) -> None:
    heard: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each message at once, and note how many have been received."""
        h2 = H2Connection(H2Configuration(client_side=False))
        h2.initiate_connection()
        received = answered = 0
        while answered < 3:
            writer.write(h2.data_to_send())
            for event in h2.receive_data(await reader.read(65536)):
                if isinstance(event, DataReceived):
                    received += len(event.data or b"") // len(MESSAGES[0])
            if received > answered:
                h2.send_headers(1, [(":status", "200"), *HEADERS[:1]]) if not answered else None
                h2.send_data(1, MESSAGES[0] * (received - answered))
                answered = received
                heard.append(received)
        h2.send_headers(1, [("grpc-status", "0")], end_stream=True)
        writer.write(h2.data_to_send())
        writer.close()

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.set_alpn_protocols(["h2"])
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server, tunnels() as port:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        reply = await http2_client.send(port, request(url, MESSAGES[0] * 3), 20, waits=[0, 2, 3, 4])
    assert heard == [1, 2, 3]
    assert reply.response.body.content == MESSAGES[0] * 3
