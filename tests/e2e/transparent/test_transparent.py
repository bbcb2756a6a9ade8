"""Transparent mode, for real: a client that knows of no proxy is redirected by the kernel."""

import socket
import ssl
from collections.abc import Callable, Iterator

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.networks import dial, own_network, redirect
from tests.support.openings import read_all, shown
from tests.support.origin import Answer, Origin

Start = Callable[..., Mitmdump]
StartOrigin = Callable[..., Origin]


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    """Run each test in its own network: redirections there affect no other program."""
    with own_network():
        yield


def ask(origin: Origin, host: str, path: str = "/") -> bytes:
    with dial(origin.port) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return read_all(sock)


@pytest.mark.parametrize("fast_lane", ["off", "on"])
def test_hosts_are_opened_by_their_sni(
    network: None, mitmdump: Start, origin: StartOrigin, server_tls: ssl.SSLContext, fast_lane: str
) -> None:
    server = origin(server_tls)
    options = ("--set", "inspect_hosts=*.example.test", "--set", "ssl_insecure=true", "--set", f"fast_lane={fast_lane}")
    proxy = mitmdump(*options, mode="transparent")
    redirect(server.port, proxy.port)
    assert shown(dial(server.port), "a.example.test") == "mitmproxy"
    assert shown(dial(server.port), "localhost") == "trustme"
    assert shown(dial(server.port), None) == "trustme"
    proxy.wait_log(rf"→ 127\.0\.0\.1:{server.port} closed, \d+ bytes up, \d+ bytes down")
    assert [request.get("via") is not None for request in server.requests] == [True, False, False]


def test_plain_requests_meet_every_policy(network: None, mitmdump: Start, origin: StartOrigin) -> None:
    server = origin()
    server.route("/", Answer(headers=[("Cache-Control", "max-age=600")]))
    proxy = mitmdump("--set", "header_rules=//X-Seen/yes", mode="transparent")
    redirect(server.port, proxy.port)
    first, second = ask(server, "a.example.test"), ask(server, "a.example.test")
    assert b"hello from the origin" in first
    assert b"X-Seen: yes" in first
    assert b"; hit" in second
    assert len(server.requests) == 1


def test_a_false_host_does_not_fill_the_cache_of_another_address(
    network: None, mitmdump: Start, origin: StartOrigin
) -> None:
    good, bad = origin(), origin()
    good.route("/", Answer(body=b"good", headers=[("Cache-Control", "max-age=600")]))
    bad.route("/", Answer(body=b"bad", headers=[("Cache-Control", "max-age=600")]))
    proxy = mitmdump(mode="transparent")
    redirect(good.port, proxy.port)
    redirect(bad.port, proxy.port)
    assert ask(bad, f"127.0.0.1:{good.port}").endswith(b"bad")
    assert ask(good, f"127.0.0.1:{good.port}").endswith(b"good")


def test_a_server_that_speaks_first_is_passed_through(network: None, mitmdump: Start) -> None:
    proxy = mitmdump("--set", "inspect_hosts=*", mode="transparent")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        redirect(port, proxy.port)
        with dial(port) as client, server.accept()[0] as accepted:
            accepted.sendall(b"220 ready\r\n")
            assert client.recv(100) == b"220 ready\r\n"
            client.sendall(b"quit")
            client.shutdown(socket.SHUT_WR)
            assert read_all(accepted) == b"quit"
            accepted.sendall(b"bye")
            accepted.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"bye"


def test_a_dead_target_hangs_up(network: None, mitmdump: Start, origin: StartOrigin) -> None:
    server = origin()
    proxy = mitmdump(mode="transparent")
    redirect(server.port, proxy.port)
    server.close()
    with dial(server.port) as sock:  # which says nothing: a request that comes too late is answered by a reset
        assert read_all(sock) == b"", "as it would be without a proxy: nobody knows yet that this is HTTP"
