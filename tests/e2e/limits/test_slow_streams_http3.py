"""An HTTP/3 stream whose data is not read delays no other, and fills no memory (RFC 9000, section 4)."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aioquic.asyncio.client import connect
from aioquic.asyncio.server import serve
from aioquic.h3.events import HeadersReceived
from tests.support.h3_end import TIMEOUT, H3End, configuration
from tests.support.mitmdump import Mitmdump

SIZE = 4 << 20
MOST = 2 << 20
"""Bytes of an unread body that may be in transit: streams' windows, and what waits for them."""


class Origin(H3End):
    """Has a large body at /large and /stored, and reads uploads to /upload/take only."""

    latest: Origin

    def head_received(self, event: HeadersReceived) -> None:
        """Answer a request at once."""
        Origin.latest = self
        path, stream_id = dict(event.headers)[b":path"], event.stream_id
        if path == b"/upload/take":
            self.take(stream_id)
        cache_control = b"max-age=60" if path == b"/stored" else b"no-store"
        self.h3.send_headers(stream_id, [(b":status", b"200"), (b"cache-control", cache_control)])
        self.h3.send_data(stream_id, bytes(5 if path.startswith(b"/upload") else SIZE), end_stream=True)
        self.transmit()


@dataclasses.dataclass
class Client:
    """A client's connection, and its proxy."""

    end: H3End
    proxy: Mitmdump

    def ask(self, path: bytes, body: int = 0) -> int:
        """Send a request, and return its stream."""
        stream_id, method = self.end._quic.get_next_available_stream_id(), b"POST" if body else b"GET"
        fields = [(b":method", method), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", path)]
        self.end.h3.send_headers(stream_id, fields, end_stream=not body)
        if body:
            self.end.h3.send_data(stream_id, bytes(body), end_stream=True)
        self.end.transmit()
        return stream_id


Scenario = Callable[[Client], Coroutine[Any, Any, None]]


@pytest.fixture
def run(mitmdump: Callable[..., Mitmdump], ca: trustme.CA, tmp_path: Path) -> Callable[..., None]:
    """Run a scenario with a client, a proxy (and its options) and an origin that all speak HTTP/3."""
    certificate = tmp_path / "origin.pem"
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))

    @asynccontextmanager
    async def connected(options: Sequence[str]) -> AsyncIterator[Client]:
        origins = configuration(is_client=False)
        origins.load_cert_chain(certificate, certificate)
        origin = await serve("127.0.0.1", 0, configuration=origins, create_protocol=Origin)
        assert origin._transport
        mode = f"reverse:http3://127.0.0.1:{origin._transport.get_extra_info('sockname')[1]}"
        proxy = await asyncio.to_thread(mitmdump, "--set", "ssl_insecure=true", *options, mode=mode)
        clients = configuration(is_client=True)
        async with connect("127.0.0.1", proxy.port, configuration=clients, create_protocol=H3End) as end:
            assert isinstance(end, H3End)
            yield Client(end, proxy)
        origin.close()  # type: ignore[no-untyped-call]

    async def scene(scenario: Scenario, *options: str) -> None:
        async with connected(options) as client:
            await scenario(client)

    return lambda *scene_of: asyncio.run(scene(*scene_of))


def test_an_unread_download(run: Callable[..., None]) -> None:
    async def scenario(client: Client) -> None:
        unread, read = client.ask(b"/large"), client.ask(b"/large")
        client.end.take(read)
        await client.end.until(lambda: read in client.end.ended)
        assert SIZE - Origin.latest.unsent(unread) < MOST, "more was read than is taken"
        client.end.take(unread)
        await client.end.until(lambda: unread in client.end.ended)
        assert client.end.received == {unread: SIZE, read: SIZE}

    run(scenario)


def test_an_upload_that_no_origin_takes(run: Callable[..., None]) -> None:
    async def scenario(client: Client) -> None:
        unread, read = client.ask(b"/upload", SIZE), client.ask(b"/upload/take", SIZE)
        await client.end.until(lambda: read in client.end.ended)
        await Origin.latest.until(lambda: read in Origin.latest.ended)
        assert SIZE - client.end.unsent(unread) < MOST, "more was read than is taken"
        Origin.latest.take(unread)
        await Origin.latest.until(lambda: unread in Origin.latest.ended)
        assert Origin.latest.received == {unread: SIZE, read: SIZE}

    run(scenario)


def test_an_unread_hit(run: Callable[..., None]) -> None:
    async def scenario(client: Client) -> None:
        stored = client.ask(b"/stored")
        client.end.take(stored)
        await client.end.until(lambda: stored in client.end.ended)
        before = client.proxy.resident()
        unread, read = [client.ask(b"/stored") for _ in range(20)], client.ask(b"/stored")
        client.end.take(read)
        await client.end.until(lambda: read in client.end.ended)
        assert client.proxy.resident() - before < len(unread) * MOST / 2

    run(scenario)


def test_a_client_that_reads_nothing_is_disconnected(run: Callable[..., None]) -> None:
    async def scenario(client: Client) -> None:
        client.ask(b"/large")
        await asyncio.wait_for(client.end.wait_closed(), TIMEOUT)
        await asyncio.to_thread(client.proxy.wait_log, "closing connection: response not read")

    run(scenario, "--set", "send_timeout=1")
