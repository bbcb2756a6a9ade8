"""Accepting in place of an asyncio server."""

import asyncio
import errno
import socket
from typing import Any

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.mode_servers import ServerInstance
from mitmproxy.test import taddons
from tests.support.waiting import eventually

from proxy_policies.connection import acceptor
from proxy_policies.connection.acceptor import Acceptor, ServerSocketWatch


async def serve_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    raise AssertionError("the server itself has accepted")


async def test_every_connection_comes_here() -> None:
    server = await asyncio.start_server(serve_nothing, "127.0.0.1", 0)
    accepted: list[tuple[socket.socket, Any]] = []
    ServerSocketWatch(server, lambda sock, peer: accepted.append((sock, peer)))
    clients = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(5)]
    await eventually(lambda: len(accepted) == 5)
    assert sorted(peer for _, peer in accepted) == sorted(client.getsockname() for client in clients)
    assert not any(sock.getblocking() for sock, _ in accepted)
    assert all(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for sock, _ in accepted)
    for sock in (*clients, *(sock for sock, _ in accepted)):
        sock.close()
    server.close()


async def test_none_comes_after_the_server_is_closed() -> None:
    server = await asyncio.start_server(serve_nothing, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    ServerSocketWatch(server, lambda sock, peer: sock.close())
    server.close()
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


async def test_it_waits_when_there_is_no_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(acceptor, "RETRY_AFTER", 0.05)
    server = await asyncio.start_server(serve_nothing, "127.0.0.1", 0)
    accepted: list[socket.socket] = []
    failures = [OSError(errno.EMFILE, "Too many open files")]

    def take(sock: socket.socket, peer: Any) -> None:
        if failures:
            sock.close()
            raise failures.pop()
        accepted.append(sock)

    ServerSocketWatch(server, take)
    clients = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(2)]
    await eventually(lambda: accepted)
    assert "cannot accept connections: Too many open files; retrying in 0.05 s" in caplog.text
    for sock in (*clients, *accepted):
        sock.close()
    server.close()


async def test_a_server_without_sockets_is_not_waited_for() -> None:
    proxyserver = Proxyserver()
    with taddons.context(proxyserver):
        starting: ServerInstance[Any] = ServerInstance.make("local", proxyserver)
        proxyserver.servers._instances[starting.mode] = starting
        undo = Acceptor(lambda *_: None).start()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        undo()
