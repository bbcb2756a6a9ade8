"""Framed connections and the relay between transports, over real sockets, with and without TLS."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trustme

from proxy_policies.byte_streams.socket_options import reset_on_close
from proxy_policies.relay.link import ByteCounts
from proxy_policies.reverse_tunnel.protocol.frames import FrameKind, frame
from proxy_policies.reverse_tunnel.transport import framed as framed_module
from proxy_policies.reverse_tunnel.transport import read_buffer
from proxy_policies.reverse_tunnel.transport.framed import Framed, open_streams
from proxy_policies.reverse_tunnel.transport.tls import Tls
from proxy_policies.reverse_tunnel.transport.transport_relay import EndNames, relay_transports

pytestmark = pytest.mark.timeout(60)

MIB = 1 << 20
Pair = tuple[Framed, Framed]
MakePair = Callable[[], Awaitable[Pair]]


@pytest.fixture(params=["plain", "tls"])
async def make_pair(request: pytest.FixtureRequest, ca: trustme.CA, server_tls: ssl.SSLContext) -> AsyncIterator[Any]:
    """Connect two framed ends with each other."""
    made: list[Framed] = []
    client_tls = ssl.create_default_context()
    ca.configure_trust(client_tls)

    async def make() -> Pair:
        near, far = Framed(), Framed()
        below_near: Framed | Tls = near
        below_far: Framed | Tls = far
        if request.param == "tls":
            below_near = Tls(client_tls, near, server_hostname="localhost")
            below_far = Tls(server_tls, far, server_side=True)
        await connect(below_near, below_far)
        made.extend((near, far))
        return near, far

    yield make
    for end in made:
        end.abort()
    await asyncio.sleep(0.01)


async def connect(near: Framed | Tls, far: Framed | Tls) -> None:
    """Connect two protocols with each other; TLS has shaken hands afterwards."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        dialling = asyncio.ensure_future(loop.create_connection(lambda: near, *listener.getsockname()))
        sock, _ = await loop.sock_accept(listener)
        await loop.connect_accepted_socket(lambda: far, sock)
        await dialling
    await asyncio.gather(*(end.handshake(5) for end in (near, far) if isinstance(end, Tls)))


async def test_mail_then_a_stream(make_pair: MakePair) -> None:
    """What comes right behind the talk belongs to the stream."""
    a, b = await make_pair()
    a.send(frame(20, b"hello"), frame(FrameKind.PING), frame(21, b""))
    assert await b.receive() == (20, b"hello")
    _, a_writer = open_streams(a)
    a_writer.write(b"early bytes")
    assert await b.receive() == (21, b"")
    await asyncio.sleep(0.05)
    reader, writer = open_streams(b)
    assert await reader.readexactly(11) == b"early bytes"
    writer.write_eof()
    a_writer.write_eof()
    assert await reader.read() == b""
    a_writer.close()
    writer.close()


async def test_streams_both_ways_with_half_close(make_pair: MakePair) -> None:
    a, b = await make_pair()
    (a_reader, a_writer), (b_reader, b_writer) = open_streams(a), open_streams(b)
    data = random.Random(2).randbytes(3 * MIB + 17)

    async def send(writer: asyncio.StreamWriter) -> None:
        rest = memoryview(data)
        while rest:
            writer.write(rest[: 1 + len(rest) // 3])
            rest = rest[1 + len(rest) // 3 :]
            await writer.drain()
        writer.write_eof()

    _, _, up, down = await asyncio.gather(send(a_writer), send(b_writer), b_reader.read(), a_reader.read())
    assert hashlib.sha256(up).digest() == hashlib.sha256(down).digest() == hashlib.sha256(data).digest()
    a_writer.close()
    b_writer.close()
    await asyncio.gather(a_writer.wait_closed(), b_writer.wait_closed())
    assert (a.reason, b.reason) == ("", "")


async def test_what_is_unread_at_the_end_of_both_directions_can_be_read(make_pair: MakePair) -> None:
    """mitmproxy drains all writers after each read; those of sockets are open until closed."""
    a, b = await make_pair()
    (_, a_writer), (b_reader, b_writer) = open_streams(a), open_streams(b)
    a_writer.write(bytes(100_000))
    a_writer.write_eof()
    b_writer.write_eof()
    while not (a.is_closing() and b.is_closing()):  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)
    size = 0
    while data := await b_reader.read(10_000):
        size += len(data)
        await b_writer.drain()
    assert size == 100_000
    for writer in (a_writer, b_writer):
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_stream_that_ends_while_it_is_closed_is_lost(make_pair: MakePair, how: str) -> None:
    a, b = await make_pair()
    (_, a_writer), (b_reader, b_writer) = open_streams(a), open_streams(b)
    a_writer.write_eof()
    b_writer.write_eof()
    assert await b_reader.read() == b""
    b.lower.close()  # as at the end of file of the connection below
    b_writer.close() if how == "close" else b.abort()
    async with asyncio.timeout(100):
        await b_writer.wait_closed()
    a.abort()


async def test_a_cut_is_no_end(make_pair: MakePair) -> None:
    a, b = await make_pair()
    (reader, other), (_, writer) = open_streams(b), open_streams(a)
    writer.write(b"half of it")
    await asyncio.sleep(0.05)
    a.abort()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    other.close()


async def test_a_reset_says_why(make_pair: MakePair) -> None:
    a, b = await make_pair()
    (reader, _), _kept = open_streams(b), open_streams(a)
    a.reset("the service is tired")
    with pytest.raises(ConnectionResetError, match="the service is tired"):
        await reader.read()


@pytest.mark.parametrize(
    "wire",
    [frame(20, b"a message in a stream"), frame(FrameKind.CLOSE_ACK), bytes((9, 255, 255, 255))],
    ids=["message", "early bye", "too long"],
)
async def test_what_has_no_place_in_a_stream(make_pair: MakePair, wire: bytes) -> None:
    a, b = await make_pair()
    reader, _ = open_streams(b)
    a.send(wire)
    with pytest.raises(ConnectionResetError):
        await reader.read()


async def test_mail_is_bounded(make_pair: MakePair) -> None:
    a, b = await make_pair()
    a.send(*[frame(20, b"")] * 5000)
    got = 0
    with contextlib.suppress(ConnectionResetError):
        while await b.receive():
            got += 1
    assert got < 1000


@pytest.mark.parametrize("pieces", [70, 3000])
async def test_a_stream_that_begins_in_small_pieces_waits_for_its_protocol(make_pair: MakePair, pieces: int) -> None:
    """However many arrive before the stream is taken over: they are data, not messages."""
    a, b = await make_pair()
    said = [bytes((number % 251,)) for number in range(pieces)]
    a.send(frame(20, b"ready"), *(frame(FrameKind.DATA, piece) for piece in said))
    assert await b.receive() == (20, b"ready")
    await asyncio.sleep(0.1)
    reader, writer = open_streams(b)
    a.send(frame(FrameKind.EOF))
    async with asyncio.timeout(100):
        assert await reader.read() == b"".join(said)
    writer.close()


async def test_an_unread_stream_is_not_buffered(make_pair: MakePair) -> None:
    a, b = await make_pair()
    _, writer = open_streams(a)
    a.send(frame(20, b"ready"))
    assert await b.receive() == (20, b"ready")
    for _ in range(60):
        writer.write(bytes(MIB))
    await asyncio.sleep(0.3)
    assert a.get_write_buffer_size() > 40 * MIB
    assert not b.is_closing()
    writer.transport.abort()


async def test_who_asks_late_is_told_at_once_that_it_is_lost(make_pair: MakePair) -> None:
    for is_late in (False, True):
        a, b = await make_pair()
        told: list[Framed] = []
        a.send(frame(20, b"last words"))
        if not is_late:
            b.when_lost(told.append)
        await asyncio.sleep(0.05)
        a.abort()
        assert await b.receive() == (20, b"last words")
        with pytest.raises(ConnectionResetError):
            await b.receive()
        if is_late:
            b.when_lost(told.append)
        assert told == [b]


async def test_a_connection_lost_before_it_became_a_stream(make_pair: MakePair) -> None:
    a, b = await make_pair()
    a.abort()
    with pytest.raises(ConnectionResetError):
        await b.receive()
    reader, _ = open_streams(b)
    with pytest.raises(ConnectionResetError):
        await reader.read()


async def test_a_silent_peer_is_given_up_and_a_pinging_one_is_not(make_pair: MakePair) -> None:
    a, b = await make_pair()
    a.start_keepalive(0.1, 0.4)
    b.start_keepalive(0.1, 0.4)
    await asyncio.sleep(1)
    assert not a.is_closing()
    b._keepalive = None  # it stops to ping
    with pytest.raises(ConnectionResetError, match=r"silent for 0\.4 s"):
        async with asyncio.timeout(100):
            await a.receive()


async def test_who_goes_on_talking_after_the_other_has_closed_is_reset(make_pair: MakePair) -> None:
    """As TCP does (RFC 9293 section 3.10.7.1): a service that streams for ever would not learn of it."""
    a, b = await make_pair()
    _, a_writer = open_streams(a)
    b_reader, b_writer = open_streams(b)
    a_writer.write(b"last words")
    a_writer.close()
    assert a.is_closing()
    assert await b_reader.read() == b"last words"
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(100):
            while not b.is_closing():
                b_writer.write(bytes(1000))
                await b_writer.drain()
                await asyncio.sleep(0.01)
    with pytest.raises(ConnectionResetError):
        await b_reader.read()


async def test_what_was_under_way_at_a_close_breaks_nothing_off(make_pair: MakePair) -> None:
    """TLS in the stream, for one, says that it closes, before its end of file."""
    a, b = await make_pair()
    (_, a_writer), (b_reader, b_writer) = open_streams(a), open_streams(b)
    a_writer.close()
    assert await b_reader.read() == b""
    b_writer.write(b"close_notify")
    b_writer.close()
    await asyncio.gather(a_writer.wait_closed(), b_writer.wait_closed())
    assert (a.reason, b.reason) == ("", "")


async def test_who_closes_first_does_not_wait_for_ever(make_pair: MakePair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other side neither talks nor ends; at last it is cut off."""
    monkeypatch.setattr(framed_module, "LINGER_TIMEOUT", 0.3)
    a, b = await make_pair()
    (_, a_writer), (b_reader, _b_writer) = open_streams(a), open_streams(b)
    a_writer.write(b"last words")
    a_writer.close()
    assert await b_reader.read() == b"last words"
    async with asyncio.timeout(100):
        while not b.is_closing():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def bare_pair() -> tuple[Any, socket.socket]:
    """Return a bare transport, and the socket at its other end."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        sock, _ = listener.accept()
    peer.setblocking(False)
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, sock)
    transport.pause_reading()
    return transport, peer


async def exchange(peer: socket.socket, data: bytes) -> bytes:
    """Send everything, half-close, and return everything that comes, at the same time."""
    loop = asyncio.get_running_loop()

    async def send() -> None:
        await loop.sock_sendall(peer, data)
        peer.shutdown(socket.SHUT_WR)

    async def receive() -> bytes:
        received = bytearray()
        while chunk := await loop.sock_recv(peer, 1 << 16):
            received += chunk
        return bytes(received)

    _, received = await asyncio.gather(send(), receive())
    return received


async def test_link_carries_both_ways_and_counts(make_pair: MakePair) -> None:
    """Bare, framed, framed, bare: as a client, home, work and a service are."""
    near, client = await bare_pair()
    a, b = await make_pair()
    far, service = await bare_pair()
    tapped: list[tuple[bool, int]] = []
    links = asyncio.gather(
        relay_transports(near, a, tap=lambda up, data: tapped.append((up, len(data)))), relay_transports(b, far)
    )
    up, down = random.Random(3).randbytes(5 * MIB), random.Random(4).randbytes(4 * MIB + 1)
    got_down, got_up = await asyncio.gather(exchange(client, up), exchange(service, down))
    assert (got_up == up, got_down == down) == (True, True)
    home, work = await links
    assert (home.up, home.down, home.error) == (work.up, work.down, work.error) == (len(up), len(down), "")
    assert sum(size for is_up, size in tapped if is_up) == len(up)
    assert sum(size for is_up, size in tapped if not is_up) == len(down)
    client.close()
    service.close()


async def test_a_slow_peer_costs_another_buffer_only_where_one_is_kept(make_pair: MakePair) -> None:
    """TLS has copied what it has not sent yet."""
    near, client = await bare_pair()
    a, b = await make_pair()
    reader, _kept = open_streams(b)
    linking = asyncio.ensure_future(relay_transports(near, a))
    before, data = read_buffer.view().obj, random.Random(5).randbytes(16 * MIB)
    sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(client, data))
    while not a.get_write_buffer_size():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.01)
    is_copied = isinstance(a.lower, Tls)
    assert (read_buffer.view().obj is before) == is_copied
    assert await reader.readexactly(len(data)) == data
    await sending
    client.close()
    assert await reader.read() == b""
    linking.cancel()
    _kept.close()


async def test_link_ends_with_either_side(make_pair: MakePair) -> None:
    near, client = await bare_pair()
    a, b = await make_pair()
    reader, _ = open_streams(b)
    counts = ByteCounts()
    linking = asyncio.ensure_future(relay_transports(near, a, counts=counts))
    await asyncio.get_running_loop().sock_sendall(client, b"x")
    assert await reader.readexactly(1) == b"x"
    b.reset("enough")
    await linking
    assert counts.error == "enough"
    assert near.is_closing()
    client.close()


async def test_link_ends_if_a_client_is_reset_after_its_end(make_pair: MakePair) -> None:
    """asyncio no longer reads it then: the reset is found when the service ends."""
    near, client = await bare_pair()
    reset_on_close(near.get_extra_info("socket"))
    a, b = await make_pair()
    reader, writer = open_streams(b)
    linking = asyncio.ensure_future(relay_transports(near, a, names=EndNames("client", "server", "relay")))
    client.shutdown(socket.SHUT_WR)
    assert await reader.read() == b""
    reset_on_close(client)
    client.close()
    writer.write_eof()
    counts = await asyncio.wait_for(linking, 30)
    assert counts.error == "client reset the connection"
    assert near.is_closing()
    writer.close()


async def test_a_cancelled_link_breaks_both_off(make_pair: MakePair) -> None:
    near, client = await bare_pair()
    a, b = await make_pair()
    reader, _ = open_streams(b)
    linking = asyncio.ensure_future(relay_transports(near, a))
    await asyncio.sleep(0.01)
    linking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await linking
    with pytest.raises(ConnectionResetError, match="the relay ended the session"):
        await reader.read()
    assert near.is_closing()
    client.close()


async def test_link_takes_connections_that_are_gone_already(make_pair: MakePair) -> None:
    near, client = await bare_pair()
    a, b = await make_pair()
    b.abort()
    with pytest.raises(ConnectionResetError):
        await a.receive()
    counts = await relay_transports(near, a)
    assert counts.error
    client.close()
