"""Bytes copied through a buffer of this process."""

import contextlib
import select
import socket

import pytest
from tests.support.relay_peers import tcp_pair

from proxy_policies.relay.sockets import BUFFER, Copy


def filled(copy: Copy, source: socket.socket) -> int:
    select.select([source], [], [], 20)
    return copy.fill()


def fill(sink: socket.socket) -> None:
    """Send until it takes no more."""
    with contextlib.suppress(BlockingIOError):
        while True:
            sink.send(bytes(BUFFER))


def test_what_comes_goes_and_the_end_is_seen() -> None:
    (a, client), (b, server) = tcp_pair(), tcp_pair()
    with a, client, b, server:
        client.sendall(b"hello")
        copy = Copy(a, b)
        assert (filled(copy, a), copy.held) == (5, 5)
        assert (copy.drain(), copy.held) == (5, 0)
        select.select([server], [], [], 20)
        assert server.recv(10) == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert filled(copy, a) == 0


def test_what_the_sink_does_not_take_is_kept_from_the_next_user_of_the_buffer() -> None:
    pairs = [tcp_pair() for _ in range(3)]
    (a, client), (b, server), (c, other) = pairs
    try:
        fill(b)
        client.sendall(b"kept")
        copy = Copy(a, b)
        filled(copy, a)
        with pytest.raises(BlockingIOError):
            copy.drain()
        other.sendall(b"else")
        filled(Copy(c, a), c)
        assert copy.held == 4
        taken = b""
        while not taken.endswith(b"kept"):
            select.select([server], [], [], 20)
            taken = taken[-8:] + server.recv(1 << 20)
            with contextlib.suppress(BlockingIOError):
                copy.held and copy.drain()
    finally:
        for pair in pairs:
            for sock in pair:
                sock.close()
