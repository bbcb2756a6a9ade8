"""The tunnel's connections, dialled and accepted."""

import asyncio
import errno
import socket
from typing import Any

import pytest
from tests.support.home_and_works_in_process import close_clients, connect
from tests.support.relay_peers import tcp_pair
from tests.support.waiting import eventually, free_port

from proxy_policies.addresses import Address
from proxy_policies.outbound.name_lookup import AddressInfo
from proxy_policies.reverse_tunnel import identity
from proxy_policies.reverse_tunnel.protocol.messages import Ready, encode
from proxy_policies.reverse_tunnel.transport import connections
from proxy_policies.reverse_tunnel.transport.connections import (
    Listener,
    accept_bare,
    accept_framed,
    dial_framed,
    receive,
)


async def test_a_framed_connection_carries_messages() -> None:
    plain = identity.load("home", "none", "")
    accepted: list[socket.socket] = []
    listener = Listener(("127.0.0.1", free_port()), "home", lambda sock, address: accepted.append(sock))
    await listener.open()
    work = await dial_framed(listener.address, identity.load("work", "none", ""))
    await eventually(lambda: accepted)
    home = await accept_framed(accepted[0], plain)
    work.send(encode(Ready()))
    assert await asyncio.wait_for(receive(home), 100) == Ready()
    work.abort()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(receive(home), 100)
    home.abort()
    await listener.close()


async def test_a_listener_waits_for_a_port_in_use(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BIND_RETRY_DELAY", 0.02)
    other = socket.create_server(("127.0.0.1", 0))
    seen: list[Address] = []

    def accept(sock: socket.socket, address: Address) -> None:
        seen.append(address)
        sock.close()

    listener = Listener(other.getsockname(), "clients", accept)
    await listener.open()
    assert "clients: cannot listen on " in caplog.text
    other.close()
    await connect(listener.address)
    await eventually(lambda: seen)
    close_clients()
    await listener.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*listener.address)


HERE, ELSEWHERE = "127.0.0.1", "203.0.113.1"  # the latter is for documentation (RFC 5737)


@pytest.mark.parametrize(
    ("addresses", "listens"), [((ELSEWHERE, HERE), True), ((HERE, ELSEWHERE), True), ((ELSEWHERE,), False)]
)
async def test_of_a_name_s_addresses_it_listens_on_those_that_this_machine_has(
    addresses: tuple[str, ...], listens: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As localhost has one of IPv6 where there is none: in most containers."""

    async def look_up(host: str, port: int, **how: object) -> list[AddressInfo]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(connections, "look_up", look_up)
    listener = Listener(("localhost", free_port()), "clients", lambda sock, _: sock.close())
    await listener.open()
    assert ("cannot listen" in caplog.text) is not listens
    if listens:
        await connect((HERE, listener.address[1]))
    close_clients()
    await listener.close()


async def test_a_family_that_the_kernel_does_not_know_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = socket.socket

    def make(family: int = socket.AF_INET, *arguments: Any, **how: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return genuine(family, *arguments, **how)

    monkeypatch.setattr(socket, "socket", make)
    listener = Listener(("*", free_port()), "home", lambda sock, _: sock.close())
    await listener.open()
    await connect((HERE, listener.address[1]))
    close_clients()
    await listener.close()


async def test_a_bare_connection_is_not_read_until_it_is_linked() -> None:
    near, far = tcp_pair()
    transport = await accept_bare(near)
    assert not transport.is_reading()
    assert near.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    transport.abort()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(asyncio.get_running_loop().sock_recv(far, 1), 100)
    far.close()
