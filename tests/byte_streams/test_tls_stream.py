"""TLS over a socket, against Python's own."""

import _ssl
import asyncio
import contextlib
import ctypes
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import trustme
from OpenSSL import SSL
from tests.support.openings import trusting_anyone
from tests.support.sockets import tcp_pair

from proxy_policies.byte_streams.byte_stream import HIGH_WATER, READ_AHEAD, SocketStream
from proxy_policies.byte_streams.tls_stream import TlsStream, Truncated


@dataclass
class Pair:
    stream: TlsStream
    peer: ssl.SSLSocket

    async def by_peer(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Do something that blocks the peer."""
        return await asyncio.to_thread(function, *arguments)

    async def all_received(self) -> bytes:
        while await self.stream.wait():
            pass
        return self.stream.take()


async def handshake(below: SocketStream, tls: SSL.Connection) -> None:
    while True:
        try:
            tls.do_handshake()
        except SSL.WantReadError:
            with contextlib.suppress(SSL.WantReadError):
                below.write(tls.bio_read(65536))
            assert await below.wait()
            tls.bio_write(below.take())
        else:
            with contextlib.suppress(SSL.WantReadError):
                below.write(tls.bio_read(65536))
            return


async def accepted(ca: trustme.CA, sock: socket.socket) -> TlsStream:
    """Set TLS up with a client."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    ca.issue_cert("localhost").configure_cert(context)
    tls = SSL.Connection(context)
    tls.set_accept_state()
    below = SocketStream(sock)
    await handshake(below, tls)
    below.stop_reading()
    return TlsStream(below, tls)


@pytest.fixture
async def pair(ca: trustme.CA) -> AsyncIterator[Pair]:
    ours, theirs = tcp_pair()
    wrapping = asyncio.to_thread(trusting_anyone().wrap_socket, theirs, server_hostname="localhost")
    peer, stream = await asyncio.gather(wrapping, accepted(ca, ours))
    yield Pair(stream, peer)
    stream.fail_silently()
    peer.close()


async def test_both_ways(pair: Pair) -> None:
    dice = random.Random(1)
    up = [dice.randbytes(dice.choice((0, 1, 100, 16384, 16385, 100_000))) for _ in range(30)]

    def exchange() -> bytes:
        got = b""
        for piece in up:
            pair.peer.sendall(piece)
            while len(got) < sum(map(len, up[: up.index(piece) + 1])):
                got += pair.peer.recv(65536)
        return got

    answer = asyncio.create_task(pair.by_peer(exchange))
    while pair.stream.total_received < sum(map(len, up)):
        assert await pair.stream.wait()
        pair.stream.write(*[pair.stream.take(), b""])
        await pair.stream.drain()
    assert await answer == b"".join(up)


async def test_a_proper_end(pair: Pair) -> None:
    pair.peer.sendall(b"all of it")
    end = asyncio.create_task(pair.by_peer(pair.peer.unwrap))
    assert await pair.all_received() == b"all of it"
    assert pair.stream.error is None
    pair.stream.close()
    await end


async def test_what_comes_together_with_the_end(pair: Pair) -> None:
    """The data is delivered before it."""
    pair.peer.sendall(b"last words")
    pair.peer.settimeout(0.01)
    with contextlib.suppress(OSError):  # it waits for our closing alert
        await pair.by_peer(pair.peer.unwrap)
    await asyncio.sleep(0.05)
    assert await pair.stream.wait() is True
    assert pair.stream.take() == b"last words"
    assert await pair.stream.wait() is False


async def test_an_end_that_is_none(pair: Pair) -> None:
    """Without the closing alert, the data may have been cut by an attacker on the path."""
    pair.peer.sendall(b"a part")
    pair.peer.shutdown(socket.SHUT_WR)
    assert await pair.all_received() == b"a part"
    assert isinstance(pair.stream.error, Truncated)


async def test_a_reset(pair: Pair) -> None:
    pair.peer.close()
    assert await pair.all_received() == b""
    pair.stream.write(b"nobody takes this")
    pair.stream.write(b"nor this")
    assert pair.stream.error is not None


async def test_what_is_no_record(pair: Pair) -> None:
    raw = socket.socket(fileno=pair.peer.detach())
    raw.sendall(b"this is no record at all\r\n")
    assert await pair.all_received() == b""
    assert isinstance(pair.stream.error, ConnectionError)
    raw.close()


def renew_keys(sock: socket.socket, times: int) -> None:
    """Set TLS up, and want new keys again and again (RFC 8446, section 4.6.3): no library of Python's does that."""
    openssl = ctypes.CDLL(_ssl.__file__)
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(openssl, name).restype = ctypes.c_void_p
    tls = ctypes.c_void_p(
        openssl.SSL_new(ctypes.c_void_p(openssl.SSL_CTX_new(ctypes.c_void_p(openssl.TLS_client_method()))))
    )
    openssl.SSL_set_fd(tls, sock.fileno())
    assert openssl.SSL_connect(tls) == 1
    for _ in range(times):
        assert openssl.SSL_key_update(tls, 1) == 1
        if openssl.SSL_do_handshake(tls) != 1:
            return


async def test_new_keys_without_an_end(ca: trustme.CA) -> None:
    """Each of them has to be answered, and who wants them need not read the answers."""
    ours, peer = tcp_pair()
    peer.settimeout(None)
    renewing = asyncio.create_task(asyncio.to_thread(renew_keys, peer, 10_000))
    stream = await accepted(ca, ours)
    while await stream.wait():
        pass
    assert isinstance(stream.error, ConnectionError)
    await renewing
    peer.close()


async def test_the_peer_is_told_of_the_end(pair: Pair) -> None:
    pair.stream.write(b"all")
    pair.stream.end_sending()
    assert await pair.by_peer(pair.peer.recv, 100) == b"all"
    assert await pair.by_peer(pair.peer.recv, 100) == b""


async def test_the_peer_is_not_told_of_an_end_that_is_none(pair: Pair) -> None:
    pair.stream.write(b"a part")
    assert await pair.by_peer(pair.peer.recv, 100) == b"a part"
    pair.stream.reset()
    pair.peer.suppress_ragged_eofs = False  # type: ignore[attr-defined]
    with pytest.raises(OSError, match=r"EOF|reset"):
        await pair.by_peer(pair.peer.recv, 100)


async def test_no_more_is_read_than_is_wanted(pair: Pair) -> None:
    sending = asyncio.create_task(pair.by_peer(pair.peer.sendall, bytes(20 * READ_AHEAD)))
    pair.stream.start_reading()
    for _ in range(50):
        await asyncio.sleep(0.005)
    assert READ_AHEAD <= len(pair.stream.received) < 2 * READ_AHEAD
    while pair.stream.total_received < 20 * READ_AHEAD:
        assert await pair.stream.wait()
        pair.stream.take()
    await sending


async def test_a_writer_waits_for_a_slow_peer(pair: Pair) -> None:
    size = 0
    while pair.stream.unsent <= HIGH_WATER:
        pair.stream.write(bytes(100_000))
        size += 100_000
    draining = asyncio.create_task(pair.stream.drain())
    await asyncio.sleep(0.01)
    assert not draining.done()

    def take() -> int:
        got = 0
        while got < size:
            got += len(pair.peer.recv(1 << 20))
        return got

    assert await pair.by_peer(take) == size
    await draining
