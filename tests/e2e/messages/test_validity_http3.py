"""Requests over HTTP/3 that are not valid: each is refused alone (RFC 9114, section 4.1.2)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent
from tests.support.mitmdump import Mitmdump

TIMEOUT = 100.0
BAD = [
    *({":path": path} for path in (b"a", b"/a b", b"/#fragment", b"http://else.test/", b"*")),
    *({":method": method} for method in (b"GE T", b"CONNECT")),
    *({":authority": authority} for authority in (b"else.test:0", b"a,b", b"user@else.test")),
    {":scheme": b"ftp"},
]


class Client(QuicConnectionProtocol):
    """Sends requests as they are given, one after the other."""

    _h3: H3Connection | None = None
    _status: asyncio.Future[bytes]

    def quic_event_received(self, event: QuicEvent) -> None:
        """Note the status of a response; b"" if there is none because the connection has ended."""
        if isinstance(event, ConnectionTerminated) and not self._status.done():
            self._status.set_result(b"")
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


async def statuses(port: int, requests: Sequence[dict[str, bytes]]) -> list[bytes]:
    configuration = QuicConfiguration(
        alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, server_name="localhost", idle_timeout=TIMEOUT
    )
    async with connect("127.0.0.1", port, configuration=configuration, create_protocol=Client) as client:
        assert isinstance(client, Client)
        return [await client.status(request) for request in requests]


def test_a_bad_target_is_refused(mitmdump: Callable[..., Mitmdump]) -> None:
    proxy = mitmdump("--set", "header_rules=/~s/X-New/1", mode="reverse:http3://127.0.0.1:9")
    nobody_there = b"502"
    refused = [b"501" if request.get(":method") == b"CONNECT" else b"400" for request in BAD]
    assert asyncio.run(statuses(proxy.port, [{}, *BAD, {}])) == [nobody_there, *refused, nobody_there]
    assert "Lowercased" not in proxy.log()
    assert "Traceback" not in proxy.log()
