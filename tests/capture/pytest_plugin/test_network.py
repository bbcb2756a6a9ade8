"""Sockets that lead to other hosts are refused, and only those, for as long as it lasts."""

import socket

import pytest

from proxy_policies.capture.pytest_plugin.network import HostCheck, NetworkBlockedError, blocked, is_local

LOCAL = ("localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "")
OTHERS = ("shop.test", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "localhost.test", "127.0.0.1.test", "fe80::1%lo")


@pytest.mark.parametrize("host", LOCAL)
def test_this_host(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", OTHERS)
def test_other_hosts(host: str) -> None:
    assert not is_local(host)
    with blocked():
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as client, pytest.raises(NetworkBlockedError, match="block_network"):
            client.connect((host, 80))
        with socket.socket(family) as client, pytest.raises(NetworkBlockedError):
            client.connect_ex((host, 80))
        with socket.socket(family, socket.SOCK_DGRAM) as client, pytest.raises(NetworkBlockedError):
            client.sendto(b"x", (host, 53))
        with pytest.raises(NetworkBlockedError, match="allowed_hosts"):
            socket.getaddrinfo(host, 80)


def test_this_host_is_reached_and_everything_is_as_before_afterwards() -> None:
    before = socket.getaddrinfo, socket.socket.connect, vars(socket.socket).get("connect")
    with socket.create_server(("127.0.0.1", 0)) as server:
        with blocked():
            socket.create_connection(server.getsockname(), 20).close()
        one, other = socket.socketpair()
        with one, other, blocked():
            one.send(b"x")
    assert before == (socket.getaddrinfo, socket.socket.connect, vars(socket.socket).get("connect"))


def test_allowed_hosts_are_expressions_for_the_whole_name() -> None:
    check = HostCheck([r".*\.shop\.test", "192[.]0[.]2[.]1"])
    assert check.allows("api.shop.test")
    assert check.allows("API.SHOP.TEST")
    assert check.allows("192.0.2.1")
    assert not check.allows("api.shop.test.evil")
    assert not check.allows("192.0.2.10")
    check.add_addresses(["192.0.2.10"])
    assert check.allows("192.0.2.10"), "that is where an allowed host was found to be"
    with pytest.raises(ValueError, match=r"allowed_hosts: '\(' is not a valid regular expression"):
        HostCheck(["("])
