"""`capture record` and `capture replay`: a command run through the proxy."""

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.support.capture_commands import capture
from tests.support.mitmdump import environment
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until

from proxy_policies.capture.har.reader import TruncatedCapture, open_capture

StartOrigin = Callable[..., Origin]
FETCH = "import sys, urllib.request as u; [print(u.urlopen(url, timeout=100).read().decode()) for url in sys.argv[1:]]"
REQUESTS = "import sys, requests; [print(requests.get(url, timeout=100).text) for url in sys.argv[1:]]"
HTTPX = "import sys, httpx; [print(httpx.get(url, timeout=100).text) for url in sys.argv[1:]]"
AIOHTTP = """
import aiohttp, asyncio, sys
async def fetch(url):
    async with aiohttp.ClientSession(trust_env=True) as session, session.get(url) as answer:
        print(await answer.text())
for url in sys.argv[1:]:
    asyncio.run(fetch(url))
"""
CLIENTS = {
    "curl": ["curl", "-sS", "--max-time", "100"],
    "urllib": [sys.executable, "-c", FETCH],
    "requests": [sys.executable, "-c", REQUESTS],
    "aiohttp": [sys.executable, "-c", AIOHTTP],
    "httpx": [sys.executable, "-c", HTTPX],
}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_a_command_is_recorded_and_replayed_offline(client: list[str], origin: StartOrigin, tmp_path: Path) -> None:
    server = origin()
    server.route("/a", Answer(body=b"answer a"))
    done = capture(tmp_path, "record", "a.har", "--", *client, f"{server.url}/a")
    assert (done.returncode, done.stdout.strip()) == (0, "answer a"), done.stderr
    assert "recorded 1 exchange into a.har" in done.stderr
    server.close()
    done = capture(tmp_path, "replay", "a.har", "--", *client, f"{server.url}/a")
    assert (done.returncode, done.stdout.strip()) == (0, "answer a"), done.stderr
    assert "replayed 1 exchange, 0 not answered" in done.stderr


def limited(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a subcommand that can write no file of more than 1 MiB."""
    command = [sys.executable, "-m", "proxy_policies.capture", "record", "--confdir", str(folder / "conf"), *arguments]
    shell = ["sh", "-c", 'ulimit -f 2048; exec "$@"', "sh", *command]
    return subprocess.run(shell, capture_output=True, text=True, timeout=100, env=environment(), cwd=folder)


def test_a_recording_that_stops_is_a_failure_and_replaces_nothing(origin: StartOrigin, tmp_path: Path) -> None:
    server = origin()
    server.route("/small", Answer(body=b"answer"))
    server.route("/large", Answer(body=b"x" * (2 << 20)))
    client = ("--", "curl", "-sS", "--max-time", "90", f"{server.url}/small", f"{server.url}/large")
    done = limited(tmp_path, "a.har", *client)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(
        "recording stopped: File too large; what was received later is missing"
    )
    assert [entry.request.url for entry in open_capture(tmp_path / "a.har")] == [f"{server.url}/small"]
    before = (tmp_path / "a.har").read_bytes()
    done = limited(tmp_path, "--overwrite", "a.har", *client)
    assert (done.returncode, (tmp_path / "a.har").read_bytes()) == (2, before)
    assert "recording stopped: File too large; a.har is as it was" in done.stderr
    assert "a.har.part" not in os.listdir(tmp_path)


def test_https_is_opened_and_trusted(
    origin: StartOrigin, server_tls: ssl.SSLContext, ca_file: Path, tmp_path: Path
) -> None:
    server = origin(server_tls)
    url = f"https://localhost:{server.port}/"
    trust = ("--set", f"ssl_verify_upstream_trusted_ca={ca_file}")
    done = capture(tmp_path, "record", *trust, "a.har", "--", *CLIENTS["requests"], url)
    assert done.returncode == 0, done.stderr
    (entry,) = open_capture(tmp_path / "a.har")
    assert entry.request.url == url
    assert entry.connection_info["server"]["tls"].startswith("TLS")
    server.close()
    done = capture(tmp_path, "replay", "a.har", "--", *CLIENTS["requests"], url)
    assert (done.returncode, done.stdout.strip()) == (0, "hello from the origin"), done.stderr


def test_the_commands_exit_code_is_ours(origin: StartOrigin, tmp_path: Path) -> None:
    server = origin()
    done = capture(tmp_path, "record", "a.har", "--", "sh", "-c", f"curl -sS {server.url}; exit 7")
    assert done.returncode == 7
    done = capture(tmp_path, "replay", "a.har", "--", "sh", "-c", f"curl -sS {server.url}/x; exit 0")
    assert done.returncode == 1
    assert "not answered: GET" in done.stderr
    assert "nearest is entry 1, which differs in path" in done.stderr


def test_strict_wants_every_recording_used(origin: StartOrigin, tmp_path: Path) -> None:
    server = origin()
    capture(tmp_path, "record", "a.har", "--", "curl", "-sS", f"{server.url}/1", f"{server.url}/2")
    done = capture(tmp_path, "replay", "--mode", "strict", "a.har", "--", "curl", "-sS", f"{server.url}/1")
    assert done.returncode == 1
    assert f"never requested: entry 2: GET {server.url}/2" in done.stderr


def test_a_run_that_bypasses_the_proxy_says_so(tmp_path: Path) -> None:
    done = capture(tmp_path, "record", "a.har", "--", "true")
    assert done.returncode == 2
    assert "no request reached the proxy" in done.stderr
    assert not (tmp_path / "a.har").exists(), "an empty capture would be in the way of the next try"


REFUSED = {
    "exists": (("record", "old.har", "--", "true"), "old.har exists: --append adds to it, --overwrite replaces it"),
    "no command": (("record", "new.har", "--", "./no-such"), "cannot start ./no-such: No such file or directory"),
    "no capture": (("replay", "no.har", "--", "true"), "no.har: No such file or directory"),
    "foreign": (("record", "--append", "old.har", "--", "true"), "not written by this program"),
    "bad option": (("record", "new.har", "--redact", "x", "--", "true"), "is not a valid redaction"),
    "bad filter": (("record", "new.har", "--filter", "~", "--", "true"), "is not a valid flow filter"),
}


@pytest.mark.parametrize(("arguments", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_said_in_one_line(arguments: tuple[str, ...], text: str, tmp_path: Path) -> None:
    old = tmp_path / "old.har"
    old.write_text('{"log": {\n"entries": []}}')
    done = capture(tmp_path, *arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert old.read_text() == '{"log": {\n"entries": []}}'


@contextmanager
def recorder(folder: Path, url: str) -> Iterator[tuple["subprocess.Popen[str]", int, int]]:
    """Record a command that fetches a URL and stays; gives the recorder, its proxy's port and the command's PID."""
    (folder / "tmp").mkdir()
    command = [sys.executable, "-m", "proxy_policies.capture", "record", "--confdir", str(folder / "conf"), "a.har"]
    script = f"curl -sS {url}; echo $http_proxy; echo $$; exec sleep 60"
    env = environment(TMPDIR=str(folder / "tmp"))
    with subprocess.Popen(
        [*command, "--", "sh", "-c", script], stdout=subprocess.PIPE, env=env, cwd=folder, text=True
    ) as running:
        assert running.stdout
        _, proxy, pid = (running.stdout.readline() for _ in range(3))
        try:
            yield running, int(proxy.rpartition(":")[2]), int(pid)
        finally:
            running.kill()
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def test_a_killed_recorder_takes_its_proxy_along(origin: StartOrigin, tmp_path: Path) -> None:
    with recorder(tmp_path, origin().url) as (running, port, _):
        running.send_signal(signal.SIGKILL)
        running.wait(100)
        wait_until(lambda: _is_closed(port), 20, "the proxy's end")
        wait_until(lambda: _entries(tmp_path / "a.har") == 1, 20, "a whole capture")


def test_a_terminated_recorder_ends_its_command_and_leaves_nothing_behind(origin: StartOrigin, tmp_path: Path) -> None:
    with recorder(tmp_path, origin().url) as (running, port, pid):
        running.terminate()
        assert running.wait(100) == 128 + signal.SIGTERM
        assert _is_closed(port)
        wait_until(lambda: not _is_there(pid), what="the command, which init may not have reaped yet")
    assert not list((tmp_path / "tmp").iterdir())
    assert len(list(open_capture(tmp_path / "a.har"))) == 1


STAYS = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("ready", flush=True)
signal.sigwait([signal.SIGINT])
"""
"""A program that ends in response to SIGINT, whether that comes before it waits or after."""


def test_ctrl_c_before_a_request_is_no_fault_of_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "proxy_policies.capture", "record", "--confdir", str(tmp_path / "conf"), "a.har"]
    with subprocess.Popen(
        [*command, "--", sys.executable, "-c", STAYS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=tmp_path,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.readline() == "ready\n"
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        assert running.wait(100) == 130
        assert running.stderr.read() == "capture: interrupted before a request reached the proxy\n"
    assert not (tmp_path / "a.har").exists()


def _entries(path: Path) -> int:
    """Count a capture's entries, of which the proxy writes the last and the end after its port is closed."""
    try:
        return len(list(open_capture(path)))
    except TruncatedCapture:
        return 0


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _is_closed(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except ConnectionRefusedError:
        return True
    return False
