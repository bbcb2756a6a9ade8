"""SIGTERM lets answers in flight be finished, SIGHUP has files read again; one process or several."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h2.connection
import h2.events
import pytest
import trustme
from tests.support.early_clients import connect, get
from tests.support.files import rewrite
from tests.support.mitmdump import ADDONS, Mitmdump, Running
from tests.support.openings import read_all, trusting_anyone
from tests.support.origin import Answer, Origin
from tests.support.tls_ends import TlsEnd, read_to_end
from tests.support.waiting import wait_until
from tests.support.workers import COMMAND, Workers

Start = Callable[..., Mitmdump]
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def slow(origin: Callable[..., Origin]) -> Iterator[tuple[Origin, threading.Event]]:
    """Start an origin that begins an answer, and ends it when the event is set."""
    server, over = origin(), threading.Event()

    def body() -> Iterator[bytes]:
        yield b"begun, "
        over.wait(60)
        yield b"ended"

    server.route("/", Answer(body=b"at once", headers=[("Cache-Control", "max-age=60")]))
    server.route("/slow", lambda request: Answer(body=body()))
    yield server, over
    over.set()


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=100)


def begin(sock: socket.socket, url: str) -> None:
    """Ask for the slow answer, and wait for its beginning."""
    sock.sendall(f"GET {url}/slow HTTP/1.1\r\nHost: example.test\r\n\r\n".encode())
    said = b""
    while b"begun, " not in said:
        said += sock.recv(65536)


def is_refused(port: int) -> bool:
    try:
        dial(port).close()
    except ConnectionRefusedError:
        return True
    return False


FAILING_HOME = """
import logging

class Home:
    name = "home"

    def running(self):
        logging.info("failing home runs")

    async def drain(self):
        raise RuntimeError("cannot drain")

    def is_serving(self):
        {is_serving}

addons = [Home()]
"""


@pytest.mark.parametrize(
    "is_serving", ["return False", "raise RuntimeError('cannot say')"], ids=["drain", "is_serving"]
)
def test_it_ends_though_an_addon_fails(mitmdump: Start, tmp_path: Path, is_serving: str) -> None:
    script = tmp_path / "failing_home.py"
    script.write_text(FAILING_HOME.format(is_serving=is_serving))
    proxy = mitmdump("-s", str(script), "--set", "grace_period=60s", script="work.py")
    proxy.wait_log("failing home runs")  # during the start nothing is drained
    proxy.process.terminate()
    assert proxy.wait_exit() == 0
    assert "RuntimeError: cannot drain" in proxy.log()


@pytest.mark.parametrize("fast_lane", ["off", "on"])
def test_answers_in_flight_are_finished(mitmdump: Start, slow: tuple[Origin, threading.Event], fast_lane: str) -> None:
    server, over = slow
    proxy = mitmdump("--set", f"fast_lane={fast_lane}", "--set", "grace_period=60s")
    for _ in range(3):
        with dial(proxy.port) as sock:
            assert b"at once" in get(server.url)(sock)
    with dial(proxy.port) as idle, dial(proxy.port) as busy, dial(proxy.port) as uploading:
        idle.sendall(f"GET {server.url}/ HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        assert idle.recv(65536)
        uploading.sendall(f"POST {server.url}/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab".encode())
        begin(busy, server.url)
        proxy.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(proxy.port), 40)
        read_all(idle)  # to the end, which comes while others are served
        uploading.sendall(b"cd")
        assert read_all(uploading).startswith(b"HTTP/1.1 200 ")
        assert proxy.process.poll() is None
        over.set()
        assert b"ended" in read_all(busy)
    assert proxy.wait_exit(40) == 0
    assert "Traceback" not in proxy.log()


def test_tunnels_end_with_the_grace_period(mitmdump: Start, slow: tuple[Origin, threading.Event]) -> None:
    server, _ = slow
    proxy = mitmdump("--set", "grace_period=2s")
    with dial(proxy.port) as tunnel:
        connect(tunnel, server.url.removeprefix("http://"))
        since = time.monotonic()
        proxy.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(proxy.port), 40)
        try:
            assert b"at once" in get("")(tunnel)
        except (AssertionError, OSError):
            assert time.monotonic() - since > 2, "it was over before its time"
        assert proxy.wait_exit(40) == 0
        assert time.monotonic() - since > 1


def tls_client(port: int, *protocols: str) -> TlsEnd:
    context = trusting_anyone()
    context.set_alpn_protocols(protocols)
    return TlsEnd(dial(port), context, "localhost")


def h2_client(port: int) -> tuple[TlsEnd, h2.connection.H2Connection]:
    """Begin to speak HTTP/2, and be answered once."""
    end, connection = tls_client(port, "h2"), h2.connection.H2Connection()
    connection.initiate_connection()
    connection.send_headers(
        1, list({":method": "GET", ":scheme": "https", ":authority": "h", ":path": "/"}.items()), True
    )
    end.sendall(connection.data_to_send())
    while not any(isinstance(event, h2.events.StreamEnded) for event in connection.receive_data(end.recv(65536))):
        pass
    return end, connection


@pytest.mark.parametrize("fast_lane", ["off", "on"])
@pytest.mark.parametrize("why", ["SIGTERM", "time"])
def test_who_idles_is_told_of_the_end(
    mitmdump: Start, slow: tuple[Origin, threading.Event], fast_lane: str, why: str
) -> None:
    """By TLS (RFC 8446, section 6.1), and by HTTP/2 (RFC 9113, section 6.8)."""
    server, _ = slow
    times = ("--set", "keepalive_timeout=2s", "--set", "head_timeout=2s") if why == "time" else ()
    proxy = mitmdump("--set", f"fast_lane={fast_lane}", *times, mode=f"reverse:{server.url}")
    asked = tls_client(proxy.port)
    asked.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    heard = [b""]
    while b"at once" not in b"".join(heard):
        heard.append(asked.recv(65536))
        assert heard[-1], heard
    silent, (multiplexed, connection) = tls_client(proxy.port), h2_client(proxy.port)
    if why == "SIGTERM":
        proxy.process.send_signal(signal.SIGTERM)
    assert read_to_end(asked) == (b"", True)
    assert read_to_end(silent) == (b"", True)
    said, has_end = read_to_end(multiplexed)
    goodbyes = [it for it in connection.receive_data(said) if isinstance(it, h2.events.ConnectionTerminated)]
    assert has_end
    assert [(it.error_code, it.last_stream_id) for it in goodbyes] == [(0, 1)]
    for end in (silent, asked, multiplexed):
        end.close()
    assert (proxy.wait_exit() if why == "SIGTERM" else proxy.stop()) == 0  # a second signal may come after its handlers
    assert "Traceback" not in proxy.log()


def test_told_again_it_ends_at_once(mitmdump: Start, slow: tuple[Origin, threading.Event]) -> None:
    server, _ = slow
    proxy = mitmdump("--set", "grace_period=60s")
    with dial(proxy.port) as busy:
        begin(busy, server.url)
        proxy.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(proxy.port), 40)
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.wait_exit(40) == 0


def test_files_are_read_again(mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path) -> None:
    policies, pem, server = tmp_path / "policies.yaml", tmp_path / "cert.pem", origin()
    rewrite(policies, "header_rules: //X-New/1\n")
    certificate(pem)
    proxy = mitmdump("--set", f"policy_file={policies}", "--set", f"certs=localhost={pem}")
    first = shown(proxy.port)
    assert first == shown(proxy.port)
    certificate(pem)
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_log("policies.yaml: read again")
    wait_until(lambda: shown(proxy.port) != first, 30)
    pem.write_text("nonsense")
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_log("the previous certificates stay in use")
    with dial(proxy.port) as sock:
        assert b"hello from the origin" in get(server.url)(sock)
    assert shown(proxy.port)
    assert proxy.stop() == 0


def certificate(path: Path) -> None:
    made = trustme.CA().issue_cert("localhost")
    path.write_bytes(made.private_key_pem.bytes() + made.cert_chain_pems[0].bytes())


def shown(port: int) -> bytes | None:
    with dial(port) as sock, trusting_anyone().wrap_socket(sock, server_hostname="localhost") as tls:
        return tls.getpeercert(binary_form=True)


def test_workers(tmp_path: Path, slow: tuple[Origin, threading.Event]) -> None:
    (server, over), policies = slow, tmp_path / "policies.yaml"
    rewrite(policies, "cache: off\n")
    options = ("--set", "grace_period=60s", "--set", f"policy_file={policies}", "--mode", f"reverse:{server.url}")
    workers = Workers(tmp_path, "2", *COMMAND, *options)
    try:
        wait_until(lambda: len(workers.listening()) == 2, 60, "two workers")
        with dial(workers.port) as busy:
            begin(busy, "")
            workers.process.send_signal(signal.SIGHUP)
            wait_until(lambda: workers.text.count("policies.yaml: read again") == 2, 30)
            children = workers.children()
            workers.process.send_signal(signal.SIGTERM)
            wait_until(lambda: sum(os.path.exists(f"/proc/{child}") for child in children) == 1, 40, "the idle one")
            assert workers.process.poll() is None
            over.set()
            assert b"ended" in read_all(busy)
        assert workers.process.wait(100) == 0
    finally:
        workers.process.kill()


def test_a_worker_that_is_interrupted_finishes_what_it_has_begun(
    tmp_path: Path, slow: tuple[Origin, threading.Event]
) -> None:
    server, over = slow
    workers = Workers(tmp_path, "1", *COMMAND, "--set", "grace_period=60s", "--mode", f"reverse:{server.url}")
    try:
        workers.wait_listening(1)
        (worker,) = workers.children()
        with dial(workers.port) as busy:
            begin(busy, "")
            os.kill(worker, signal.SIGINT)
            wait_until(lambda: is_refused(workers.port), 40)
            over.set()
            assert b"ended" in read_all(busy)
        workers.wait_listening(2)
        assert workers.stop() == 0
        assert "Traceback" not in workers.text
    finally:
        workers.process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="reads what a process has imported from /proc")
def test_a_reload_that_comes_while_it_starts_is_no_end(tmp_path: Path) -> None:
    arguments = ["--set", f"confdir={tmp_path}", "-p", "0"]
    proxy = Running([sys.executable, "-m", "proxy_policies", "run", *arguments], {"PYTHONPATH": str(ADDONS)})
    maps = Path(f"/proc/{proxy.pid}/maps")
    wait_until(lambda: "mitmproxy_rs" in maps.read_text(), 60, "some of mitmproxy")
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_listening()
    proxy.wait_log("certificates read again")
    assert proxy.stop() == 0
