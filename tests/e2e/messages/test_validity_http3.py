"""Messages over HTTP/3 that are not valid: each is refused alone (RFC 9114, section 4.1.2)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trustme
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.h3.connection import H3_ALPN, ErrorCode, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, QuicEvent, StreamReset
from tests.support.mitmdump import Mitmdump
from tests.support.waiting import wait_until

TIMEOUT = 100.0
BAD = [
    *({":path": path} for path in (b"a", b"/a b", b"/#fragment", b"http://else.test/", b"*")),
    *({":method": method} for method in (b"GE T", b"CONNECT")),
    *({":authority": authority} for authority in (b"else.test:0", b"a,b", b"user@else.test")),
    {":scheme": b"ftp"},
    *(
        {name: value}
        for name, value in (("connection", b"x"), ("upgrade", b"h2c"), ("te", b"gzip"), ("host", b"else.test"))
    ),
]
MALFORMED = [{"Upper": b"1"}, {"x y": b"1"}, {"content-length": b"5"}, {":unknown": b"1"}]
"""Rejected by aioquic itself."""


class Client(QuicConnectionProtocol):
    """Sends requests as they are given, one after the other."""

    _h3: H3Connection | None = None
    _status: asyncio.Future[bytes]

    def quic_event_received(self, event: QuicEvent) -> None:
        """Note the status of a response; b"" if there is none because the connection has ended, or "reset"."""
        if isinstance(event, ConnectionTerminated | StreamReset) and not self._status.done():
            self._status.set_result(b"reset" if isinstance(event, StreamReset) else b"")
        self._h3 = self._h3 or H3Connection(self._quic)
        for heard in self._h3.handle_event(event):
            if isinstance(heard, HeadersReceived):
                self._status.set_result(dict(heard.headers)[b":status"])

    async def status(self, pseudo: dict[str, bytes]) -> bytes:
        """Ask, and return the response's status."""
        valid = {":method": b"GET", ":scheme": b"https", ":authority": b"localhost", ":path": b"/"}
        fields = [(name.encode(), value) for name, value in (valid | pseudo).items()]
        self._status = asyncio.get_running_loop().create_future()
        self._h3 = self._h3 or H3Connection(self._quic)
        self._h3.send_headers(self._quic.get_next_available_stream_id(), fields, end_stream=True)
        self.transmit()
        return await asyncio.wait_for(self._status, TIMEOUT)

    async def status_unread(self, pseudo: dict[str, bytes]) -> bytes:
        """Ask in this way, and say twice, in the same packet, that no response is wanted."""
        write_data: Any = self._quic._write_stream_frame

        def write(builder: Any, space: Any, stream: Any, max_offset: int) -> Any:
            size = write_data(builder, space, stream, max_offset)
            for _ in range(2 if size and stream.stream_id % 4 == 0 else 0):  # a request's
                stream.receiver.stop(ErrorCode.H3_REQUEST_CANCELLED)
                self._quic._write_stop_sending_frame(builder, stream)
            return size

        self._quic._write_stream_frame = write  # type: ignore[method-assign]
        try:
            return await self.status(pseudo)
        finally:
            self._quic._write_stream_frame = write_data  # type: ignore[method-assign]


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    configuration = QuicConfiguration(
        alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, server_name="localhost", idle_timeout=TIMEOUT
    )
    async with connect("127.0.0.1", port, configuration=configuration, create_protocol=Client) as client:
        assert isinstance(client, Client)
        yield client


async def statuses(port: int, requests: Sequence[dict[str, bytes]]) -> list[bytes]:
    async with connected(port) as client:
        return [await client.status(request) for request in requests]


def test_a_bad_target_is_refused(mitmdump: Callable[..., Mitmdump]) -> None:
    proxy = mitmdump("--set", "header_rules=/~s/X-New/1", "--set", "access_log=-", mode="reverse:http3://127.0.0.1:9")
    no_origin = b"502"
    refused = [b"501" if request.get(":method") == b"CONNECT" else b"400" for request in BAD]
    expected = [no_origin, *refused, *[b"reset"] * len(MALFORMED), no_origin]
    assert asyncio.run(statuses(proxy.port, [{}, *BAD, *MALFORMED, {}])) == expected
    wait_until(lambda: proxy.log().count('"request":null') == len(BAD) + len(MALFORMED))
    assert "Lowercased" not in proxy.log()
    assert "Traceback" not in proxy.log()


def test_a_refusal_may_be_unwanted(mitmdump: Callable[..., Mitmdump]) -> None:
    proxy = mitmdump(mode="reverse:http3://127.0.0.1:9")

    async def ask() -> tuple[bytes, bytes]:
        async with connected(proxy.port) as client:
            return await client.status_unread({":path": b"/a b"}), await client.status({})

    assert asyncio.run(ask()) == (b"reset", b"502")
    assert "Traceback" not in proxy.log()


Fields = list[tuple[bytes, bytes]]
FRESH: Fields = [(b"cache-control", b"max-age=60")]
FRAME_OF_200 = b"\x00\x40\xc8"  # the head of a DATA frame of that length
BAD_RESPONSES: dict[bytes, tuple[Fields, bytes]] = {
    b"/cut": ([(b":status", b"200"), *FRESH], FRAME_OF_200 + b"x" * 50),
    b"/short": ([(b":status", b"200"), *FRESH, (b"content-length", b"51")], b"\x00\x32" + b"x" * 50),
    b"/beyond": ([(b":status", b"600"), *FRESH], b""),
    b"/switching": ([(b":status", b"101"), *FRESH], b""),
    b"/control": ([(b":status", b"200"), *FRESH, (b"x", b"a\x01b")], b""),
    b"/connection": ([(b":status", b"200"), *FRESH, (b"keep-alive", b"timeout=5")], b""),
    b"/name": ([(b":status", b"200"), *FRESH, (b"x y", b"1")], b""),
    b"/content": ([(b":status", b"204"), *FRESH], b"\x00\x01x"),
}
"""By path: a response's head, and what follows on its stream."""


class Origin(QuicConnectionProtocol):
    """Answers with the response for a path, or with a valid one."""

    asked: list[bytes]
    connections = 0
    _h3: H3Connection | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        """Answer a request."""
        if isinstance(event, ProtocolNegotiated):
            self._h3 = H3Connection(self._quic)
            Origin.connections += 1
        for heard in self._h3.handle_event(event) if self._h3 else ():
            if isinstance(heard, HeadersReceived) and self._h3:
                path = dict(heard.headers)[b":path"]
                self.asked.append(path)
                lines, rest = BAD_RESPONSES.get(path, ([(b":status", b"200"), *FRESH], b""))
                self._h3.send_headers(heard.stream_id, lines)
                self._quic.send_stream_data(heard.stream_id, rest, end_stream=True)
                self.transmit()


async def through(
    start: Callable[..., Mitmdump], certificate: Path, paths: list[bytes]
) -> tuple[Mitmdump, list[bytes]]:
    """Ask a proxy before an origin with HTTP/3; give the proxy, and the statuses."""
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    configuration.load_cert_chain(certificate, certificate)
    origin = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=Origin)
    assert origin._transport
    mode = f"reverse:http3://127.0.0.1:{origin._transport.get_extra_info('sockname')[1]}"
    proxy = await asyncio.to_thread(start, "--set", "ssl_insecure=true", mode=mode)
    try:
        return proxy, await statuses(proxy.port, [{":path": path} for path in paths])
    finally:
        origin.close()  # type: ignore[no-untyped-call]


def test_a_bad_response_is_not_passed_on(mitmdump: Callable[..., Mitmdump], ca: trustme.CA, tmp_path: Path) -> None:
    Origin.asked, certificate = [], tmp_path / "origin.pem"
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    paths = [b"/", *BAD_RESPONSES, *BAD_RESPONSES, b"/"]
    proxy, answers = asyncio.run(through(mitmdump, certificate, paths))
    assert answers == [b"200", *[b"502"] * (len(paths) - 2), b"200"]
    assert Origin.asked == paths[:-1]  # nothing bad was stored
    proxy.wait_log("HTTP/3 protocol error: content-length does not match data size")
    assert Origin.connections < 10, "each malformed response has ended the connection"
    assert "Lowercased" not in proxy.log()
    assert "Traceback" not in proxy.log()
