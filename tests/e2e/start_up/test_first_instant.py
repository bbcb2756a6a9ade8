"""Clients that connect the moment the port opens are answered, and nothing is served before every addon runs."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.io import FlowWriter
from mitmproxy.test.tflow import tflow
from mitmproxy.test.tutils import treq
from tests.support.early_clients import Ask, EarlyClients, connect, get, get_over_tls, get_through, socks5
from tests.support.files import rewrite
from tests.support.mitmdump import ADDONS, Mitmdump, environment
from tests.support.origin import Origin
from tests.support.waiting import wait_until

Start = Callable[..., Mitmdump]
pytestmark = pytest.mark.timeout(120)
POLICY = str(ADDONS / "policy.py")

LATE = '''
import asyncio, logging

class Late:
    """Takes a while to run, and must not be asked for anything before."""

    is_running = False

    async def running(self):
        await asyncio.sleep(0.7)
        self.is_running = True

    def _look(self, *_):
        if not self.is_running:
            logging.error("asked too early")

    client_connected = client_disconnected = next_layer = tls_clienthello = server_connect = _look
    requestheaders = request = responseheaders = response = http_connect = tcp_start = error = _look

addons = [Late()]
'''
CLUMSY = """
class Clumsy:
    def request(self, flow):
        raise ValueError("clumsy")

    def client_connected(self, client):
        raise ValueError("clumsy")

addons = [Clumsy()]
"""


AT_THE_WORD = """
import logging, re, socket

clients = []

class AtTheWord(logging.Handler):
    \"\"\"Connects and asks in the instant in which mitmproxy says that it listens.\"\"\"

    def emit(self, record):
        if listening := re.search(r"listening at \\S*?:(\\d+)", record.getMessage()):
            client = socket.create_connection(("127.0.0.1", int(listening[1])))
            client.sendall(b"GET / HTTP/1.1\\r\\nHost: a.test\\r\\n\\r\\n")
            clients.append(client)

logging.getLogger("mitmproxy.proxy.mode_servers").addHandler(AtTheWord())
"""


@pytest.fixture
def late(tmp_path: Path) -> str:
    """Write a script whose `running` takes its time."""
    path = tmp_path / "late.py"
    path.write_text(LATE)
    return str(path)


def asked_of(modes: dict[str, Ask], free_port: Callable[[], int]) -> tuple[list[str], dict[str, EarlyClients]]:
    """Return mitmdump's arguments for several modes at once, and clients that wait for each."""
    ports = {mode: free_port() for mode in modes}
    arguments = [part for mode, port in ports.items() for part in ("--mode", f"{mode.split()[0]}@{port}")]
    return arguments, {mode: EarlyClients(ports[mode], ask) for mode, ask in modes.items()}


def settle(clients: dict[str, EarlyClients]) -> None:
    """Wait until all clients have been answered often, and see that nothing went wrong."""
    for name, one in clients.items():
        wait_until(lambda one=one: one.answered > 5 or len(one.wrong) > 5, 60, name)  # type: ignore[misc]
    for one in clients.values():
        one.stop()
    assert {name: one.wrong for name, one in clients.items() if one.wrong} == {}


@pytest.mark.parametrize("fast_lane", ["off", "on"])
def test_every_mode(mitmdump: Start, origin: Callable[..., Origin], free_port: Any, late: str, fast_lane: str) -> None:
    server = origin()
    target = server.url.removeprefix("http://")
    arguments, clients = asked_of(
        {
            "regular": get(server.url),
            "regular CONNECT": get_through(connect, target),
            "regular TLS": get_over_tls(server.url),
            f"reverse:{server.url}": get(""),
            f"reverse:{server.url} TLS": get_over_tls(""),
            f"upstream:{server.url}": get("http://example.test"),
            "socks5": get_through(socks5, target),
        },
        free_port,
    )
    proxy = mitmdump("-s", late, "--set", f"fast_lane={fast_lane}", *arguments, wait=False)
    settle(clients)
    assert proxy.stop() == 0
    assert "rror" not in proxy.log().replace("TLS error", "")
    assert "asked too early" not in proxy.log()


@pytest.mark.parametrize("fast_lane", ["off", "on"])
def test_who_left_before_it_was_served(mitmdump: Start, free_port: Any, late: str, fast_lane: str) -> None:
    port = free_port()
    gone = EarlyClients(port, lambda _: b"HTTP/1.1 200 nothing was asked")
    proxy = mitmdump("-s", late, "--set", f"fast_lane={fast_lane}", "--mode", f"regular@{port}", wait=False)
    settle({"who connects and leaves": gone})
    wait_until(lambda: proxy.log().count("client disconnect") == proxy.log().count("client connect") > 5, 30, "an end")
    assert proxy.stop() == 0
    assert "Unhandled" not in proxy.log()


def test_an_addon_that_raises_then_does_not_end_it(
    mitmdump: Start, origin: Callable[..., Origin], free_port: Any, tmp_path: Path
) -> None:
    (tmp_path / "clumsy.py").write_text(CLUMSY)
    server = origin()
    arguments, clients = asked_of({"regular": get(server.url), f"reverse:{server.url}": get("")}, free_port)
    proxy = mitmdump("-s", str(tmp_path / "clumsy.py"), *arguments, wait=False)
    settle(clients)
    assert proxy.log().count("Addon error: clumsy") > 10
    assert proxy.stop() == 0


def test_mitmweb(mitmdump: Start, origin: Callable[..., Origin], free_port: Any, late: str) -> None:
    server = origin()
    arguments, clients = asked_of({"regular": get(server.url)}, free_port)
    web = ("--no-web-open-browser", "--set", f"web_port={free_port()}")
    proxy = mitmdump("-s", late, *web, *arguments, program="mitmweb", wait=False)
    settle(clients)
    assert proxy.stop() == 0
    assert "rror" not in proxy.log()


def test_the_console(origin: Callable[..., Origin], free_port: Any, late: str, tmp_path: Path) -> None:
    server = origin()
    arguments, clients = asked_of({"regular": get(server.url)}, free_port)
    with console(tmp_path, "-s", late, *arguments) as process:
        settle(clients)
        assert process.poll() is None


@contextmanager
def console(confdir: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run mitmproxy's console interface on a pseudo-terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    command = [str(Path(sys.executable).parent / "mitmproxy"), "--set", f"confdir={confdir}", "-s", POLICY]
    process = subprocess.Popen(
        [*command, "--listen-host", "127.0.0.1", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm", LANG="C.UTF-8"),
        start_new_session=True,
    )
    os.close(theirs)
    threading.Thread(target=drain, args=(ours,), daemon=True).start()
    try:
        yield process
    finally:
        process.kill()
        process.wait(100)


def drain(descriptor: int) -> None:
    """Read a terminal to its end."""
    with suppress(OSError):
        while os.read(descriptor, 65536):
            pass
    os.close(descriptor)


def test_a_script_that_is_loaded_again(
    mitmdump: Start, origin: Callable[..., Origin], free_port: Any, tmp_path: Path
) -> None:
    policy, server = tmp_path / "mine.py", origin()
    text = (ADDONS / "policy.py").read_text()
    rewrite(policy, f"import sys; sys.path.insert(0, {str(ADDONS)!r})\n{text}")
    target = server.url.removeprefix("http://")
    modes: dict[str, Ask] = {
        "regular": get(server.url),
        "regular CONNECT": get_through(connect, target),
        f"reverse:{server.url}": get(""),
        f"reverse:{server.url} TLS": get_over_tls(""),
    }
    arguments, clients = asked_of(modes, free_port)
    proxy = mitmdump("-s", str(policy), "--set", "fast_lane=on", *arguments, script=None, wait=False)
    for times in (2, 3):
        before = sum(one.answered for one in clients.values())
        wait_until(lambda before=before: sum(one.answered for one in clients.values()) > before + 20, 60)  # type: ignore[misc]
        rewrite(policy, f"{policy.read_text()}# edited for the {times}th time\n")
        wait_until(lambda times=times: proxy.log().count("Loading script") == times, 30)  # type: ignore[misc]
    settle(clients)
    assert proxy.stop() == 0
    assert "rror" not in proxy.log().replace("TLS error", "")


def test_a_replay_of_the_first_instant(
    mitmdump: Start, origin: Callable[..., Origin], late: str, tmp_path: Path
) -> None:
    flows = tmp_path / "flows"
    with flows.open("wb") as file:
        FlowWriter(file).add(tflow(req=treq(host="127.0.0.1", port=int(origin().url.rpartition(":")[2]))))
    proxy = mitmdump("-s", late, "-n", "-C", str(flows), wait=False)
    assert proxy.wait_exit(60) == 0
    proxy.wait_log(re.escape(" << 200 "))
    assert "asked too early" not in proxy.log()


def test_who_asks_at_the_word_takes_the_direct_path(
    mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path
) -> None:
    """mitmproxy logs that it listens some turns of its event loop before its addons are notified."""
    script = tmp_path / "at_the_word.py"
    script.write_text(AT_THE_WORD)
    server = origin()
    proxy = mitmdump("-s", str(script), "--set", f"mode=reverse:{server.url}")
    wait_until(lambda: server.requests, 20, "the request")
    assert proxy.counts()["exchanges"] == 1
    assert proxy.counts()["handed over"] == 0
