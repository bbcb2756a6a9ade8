"""What breaks off on one side of a tunnel is reset on the other: real processes, bare sockets."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.home_and_works import HomeAndWorks
from tests.support.mitmdump import Mitmdump
from tests.support.sockets import reset, talk, wait_until_read
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(150)

WAIT = 20  # seconds
Opened = tuple[socket.socket, socket.socket]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(WAIT)
        yield listening


def accept(listener: socket.socket) -> socket.socket:
    server, _ = listener.accept()
    server.settimeout(WAIT)
    return server


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), WAIT)


def by_connect(proxy: int, target: str) -> socket.socket:
    client = dial(proxy)
    client.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert b" 200 " in head.split(b"\r\n")[0]
    return client


def by_socks(proxy: int, target: str) -> socket.socket:
    client = dial(proxy)
    client.sendall(b"\x05\x01\x00")
    assert client.recv(2) == b"\x05\x00"
    client.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + int(target.split(":")[1]).to_bytes(2))
    assert client.recv(10)[:2] == b"\x05\x00"
    return client


def end_of(sock: socket.socket) -> str:
    """Return how a stream ends."""
    try:
        while sock.recv(1 << 20):
            pass
    except ConnectionResetError:
        return "reset"
    finally:
        sock.close()
    return "end of file"


OPENERS = {"regular": by_connect, "socks5": by_socks, "upstream": by_connect}
WAYS = [("regular", "on"), ("regular", "off"), ("socks5", "on"), ("socks5", "off"), ("upstream", "on")]


@pytest.mark.parametrize(("mode", "lane"), WAYS)
def test_untouched_tunnels(mitmdump: Callable[..., Mitmdump], listener: socket.socket, mode: str, lane: str) -> None:
    by_way_of = f":{mitmdump().url}" if mode == "upstream" else ""
    proxy = mitmdump("--set", f"fast_lane={lane}", mode=mode + by_way_of)

    def opened(word: bytes = b"\x00first") -> Opened:
        client = OPENERS[mode](proxy.port, f"127.0.0.1:{listener.getsockname()[1]}")
        client.sendall(word)
        server = accept(listener)
        assert not word or server.recv(100) == word
        return client, server

    found = {}
    for breaks in ("client", "server"):
        for moment in ("before a word", "after one word", "after a talk", "half-closed", "in a flood"):
            client, server = opened(b"" if moment == "before a word" else b"\x00first")
            broken, other = (client, server) if breaks == "client" else (server, client)
            if moment not in ("before a word", "after one word"):
                talk(client, server)
            if moment == "half-closed":
                other.shutdown(socket.SHUT_WR)
                assert broken.recv(1) == b""
            if moment == "in a flood":
                other.settimeout(0.5)
                with contextlib.suppress(TimeoutError):
                    other.sendall(bytes(100_000_000))
                other.settimeout(WAIT)
            reset(broken)
            found[breaks, moment] = end_of(other)
        client, server = opened()
        first, second = (client, server) if breaks == "client" else (server, client)
        first.shutdown(socket.SHUT_WR)
        assert second.recv(1) == b""
        second.sendall(b"answer")
        second.close()
        assert first.recv(100) == b"answer"
        found[breaks, "ends"] = end_of(first)
    assert found == {(breaks, moment): "end of file" if moment == "ends" else "reset" for breaks, moment in found}
    check_reasons(proxy)


def check_reasons(proxy: Mitmdump) -> None:
    """Wait for the log to say who broke tunnels; in a flood that depends on who sees the reset first."""

    def are_said() -> bool:
        return all(proxy.log().count(f": the {who} reset the connection\n") >= 3 for who in ("client", "target"))

    wait_until(are_said, WAIT, "the reasons")


BUSY = """
import asyncio

class Busy:
    async def tcp_start(self, flow):
        await asyncio.sleep(0.1)

    async def tcp_message(self, flow):
        await asyncio.sleep(0.3)

addons = [Busy()]
"""


@pytest.mark.parametrize("mode", ["regular", "socks5", "reverse"])
def test_flows_of_bytes(mitmdump: Callable[..., Mitmdump], listener: socket.socket, mode: str, tmp_path: Path) -> None:
    """For flows that mitmproxy shows: the layer may be notified of a reset long after it."""
    (tmp_path / "busy.py").write_text(BUSY)
    target = f"127.0.0.1:{listener.getsockname()[1]}"
    options = ("--set", "tcp_hosts=.*", "-s", str(tmp_path / "busy.py"))
    proxy = mitmdump(*options, mode=f"reverse:tcp://{target}" if mode == "reverse" else mode)
    for breaks in ("client", "server"):
        client = OPENERS[mode](proxy.port, target) if mode in OPENERS else dial(proxy.port)
        client.sendall(b"\x00first")
        server = accept(listener)
        assert server.recv(100) == b"\x00first"
        talk(client, server)
        broken, other = (client, server) if breaks == "client" else (server, client)
        broken.sendall(b"last words")
        wait_until_read(broken)
        reset(broken)
        assert (breaks, end_of(other)) == (breaks, "reset")


def test_ends_before_the_first_byte(mitmdump: Callable[..., Mitmdump], listener: socket.socket, tmp_path: Path) -> None:
    """Of servers that close at once, clients that only listen, and either side's resets."""
    (tmp_path / "busy.py").write_text(BUSY)
    proxy = mitmdump("-s", str(tmp_path / "busy.py"), mode=f"reverse:tcp://127.0.0.1:{listener.getsockname()[1]}")

    def opened() -> Opened:
        connected = proxy.log().count("server connect")
        client, server = dial(proxy.port), accept(listener)
        wait_until(lambda: proxy.log().count("server connect") > connected, WAIT, "the proxy to have connected")
        return client, server

    client, server = opened()
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    server.sendall(b"answer")
    server.close()
    assert client.recv(100) == b"answer"
    assert end_of(client) == "end of file"
    for how, expected in ((socket.socket.close, "end of file"), (reset, "reset")):
        for breaks in ("client", "server"):
            client, server = opened()
            broken, other = (client, server) if breaks == "client" else (server, client)
            how(broken)
            assert (how.__name__, breaks, end_of(other)) == (how.__name__, breaks, expected)
    client, server = opened()
    server.shutdown(socket.SHUT_WR)
    reset(client)
    assert end_of(server) == "reset"


def test_a_client_that_is_gone_before_it_is_served(mitmdump: Callable[..., Mitmdump], listener: socket.socket) -> None:
    """What it has sent is passed on."""
    proxy = mitmdump(mode=f"reverse:tcp://127.0.0.1:{listener.getsockname()[1]}")
    proxy.process.send_signal(signal.SIGSTOP)
    client = dial(proxy.port)
    client.sendall(b"all of it")
    reset(client)
    proxy.process.send_signal(signal.SIGCONT)
    server = accept(listener)
    assert server.recv(100) == b"all of it"
    assert end_of(server) == "reset"


@pytest.fixture
def pair(tmp_path: Path, listener: socket.socket) -> Iterator[HomeAndWorks]:
    started = HomeAndWorks(tmp_path, clients=["it"], script="policy.py")
    started.start_work({"it": listener.getsockname()[1]})
    yield started
    started.close()


ENDS = (("work", "SIGSTOP"), ("work", "SIGKILL"), ("work", "SIGTERM"), ("home", "SIGTERM"), ("home", "SIGKILL"))


def test_through_home_and_work(pair: HomeAndWorks, listener: socket.socket) -> None:
    """From a client port, and by CONNECT to the name."""
    for by_name in (False, True):
        for breaks in ("client", "service"):
            client, server = opened(pair, listener, by_name)
            broken, other = (client, server) if breaks == "client" else (server, client)
            reset(broken)
            assert (by_name, breaks, end_of(other)) == (by_name, breaks, "reset")


def test_home_or_work_dies_ends_or_freezes(pair: HomeAndWorks, listener: socket.socket) -> None:
    for which, how in ENDS:
        sessions = [opened(pair, listener, by_name) for by_name in (False, True)]
        process = pair.home if which == "home" else pair.works["office"]
        process.process.send_signal(signal.Signals[how])
        if (which, how) == ("home", "SIGKILL"):
            sessions[1][0].close()  # the kernel ends it: that socket is mitmproxy's own
        clients = [client for client, _ in sessions if client.fileno() >= 0]
        assert (which, how, {end_of(client) for client in clients}) == (which, how, {"reset"})
        process.process.send_signal(signal.SIGCONT)
        assert (which, how, {end_of(server) for _, server in sessions}) == (which, how, {"reset"})
        if how != "SIGSTOP":
            process.stop()
            pair.start_home() if which == "home" else pair.start_work({"it": listener.getsockname()[1]})
        wait_until(lambda: is_in_service(pair, listener), WAIT, "the tunnel to be back")


def opened(pair: HomeAndWorks, listener: socket.socket, by_name: bool) -> Opened:
    client = by_connect(pair.home.port, "it.office.internal:22") if by_name else dial(pair.client_listeners["it"])
    server = accept(listener)
    client.sendall(b"\x00first")
    assert server.recv(100) == b"\x00first"
    talk(client, server)
    return client, server


def is_in_service(pair: HomeAndWorks, listener: socket.socket) -> bool:
    listener.settimeout(0.3)
    try:
        with dial(pair.client_listeners["it"]) as client:
            accept(listener).close()
            return client.recv(1) == b""
    except OSError:
        return False
    finally:
        listener.settimeout(WAIT)
