"""Prints which files of ours run for one request, CONNECT, session of the reverse tunnel, or check."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scripts.benchmark.processes import Processes, free_port
from scripts.walk_recorder import BEGIN, END, RESULT, Recorder, Walk

from proxy_policies.command.main import main as run_command

ROOT = Path(__file__).parents[1]
RUNS = 4
PAUSE = 0.2
"""Seconds for what follows a response, and the client's end."""
IDLE = 2.5
"""Seconds in which all timers of an idle proxy run that may run beside a request."""
SIZE = 1024
"""Bytes of a response's body."""


@contextlib.contextmanager
def started(port: int, *command: str) -> Iterator[Processes]:
    """Start a program of this Python that listens on a port, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        running = Processes.start((sys.executable, *command), port, Path(folder), patience=60)
        try:
            yield running
        finally:
            running.stop()


@contextlib.contextmanager
def origin() -> Iterator[int]:
    """Start the origin; yield its port."""
    port = free_port()
    with started(port, "-m", "scripts.benchmark.origin", "http", str(port)):
        yield port


def proxy(port: int, *arguments: str) -> contextlib.AbstractContextManager[Processes]:
    """Start mitmdump with every policy and the recorder."""
    loaded = [str(path) for path in (ROOT / "addons" / "policy.py", ROOT / "scripts" / "walk_recorder.py")]
    given = ("--set", "confdir=.", "-q", "-s", loaded[0], "-s", loaded[1], *arguments)
    return started(port, str(Path(sys.executable).with_name("mitmdump")), *given)


def recorded(what: Callable[[], None], *proxies: Processes) -> Walk:
    """Return what runs in these proxies whenever something is done, except the first times, and not without it."""
    for _ in range(RUNS):
        what()
    walks = [_walk_of(what, proxies) for _ in range(RUNS)]
    anyway = _walk_of(lambda: time.sleep(IDLE), proxies)
    return {
        function: None for function in walks[0] if all(function in walk for walk in walks) and function not in anyway
    }


def _walk_of(what: Callable[[], None], proxies: Sequence[Processes]) -> Walk:
    """Return what runs in these proxies while something is done."""
    time.sleep(PAUSE)
    for one in proxies:
        _signal(one, BEGIN)
    what()
    time.sleep(PAUSE)
    return {function: None for one in proxies for function in _signal(one, END)}


def _signal(one: Processes, number: signal.Signals) -> Walk:
    result = one.folder / RESULT
    result.unlink(missing_ok=True)
    os.kill(one.process.pid, number)
    while not result.exists():
        time.sleep(0.01)
    return {(file, function): None for file, function in json.loads(result.read_text())}


def ask(client: socket.socket, line: str, host: str, size: int = SIZE) -> None:
    """Send a request, and receive its response with a body of this size. Raise OSError if the connection ends."""
    client.sendall(f"{line} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    received = b""
    while len(received.partition(b"\r\n\r\n")[2]) < size or b"\r\n\r\n" not in received:
        if not (data := client.recv(1 << 16)):
            raise ConnectionError("the proxy has closed the connection")
        received += data


def connected(port: int) -> socket.socket:
    """Connect to a port of this machine."""
    return socket.create_connection(("127.0.0.1", port))


@contextlib.contextmanager
def listening() -> Iterator[tuple[int, str, Processes]]:
    """Start an origin and a proxy; yield the proxy's port, the origin's address, and the proxy."""
    port = free_port()
    with origin() as served, proxy(port, "--listen-host", "127.0.0.1", "-p", str(port)) as running:
        time.sleep(1)  # clients that connect while the proxy starts are served by mitmproxy's layers
        yield port, f"127.0.0.1:{served}", running


def get(kind: str, numbers: Iterator[int]) -> Walk:
    """Return the walk of a GET on a kept connection."""
    with listening() as (port, host, running), connected(port) as client:
        return recorded(lambda: ask(client, f"GET http://{host}/{kind}/{SIZE}/{next(numbers)}", host), running)


def connect() -> Walk:
    """Return the walk of a CONNECT, from the client's connection to its end."""
    with listening() as (port, host, running):

        def tunnel() -> None:
            with connected(port) as client:
                ask(client, f"CONNECT {host}", host, 0)
                ask(client, f"GET /json/{SIZE}/1", host)

        return recorded(tunnel, running)


def session() -> Walk:
    """Return the walk of a session of the reverse tunnel, at home and at work."""
    works, clients, secret = free_port(), free_port(), secrets.token_hex(16)

    def end(settings: str) -> contextlib.AbstractContextManager[Processes]:
        given = (f"--set={setting}" for setting in settings.split())
        return proxy(works, "-n", *given)

    home_is = f"home_listen={works} home_clients={clients}=web home_tls=secret home_secret={secret}"
    work_is = f"work_home=127.0.0.1:{works} work_tls=secret work_secret={secret} work_services=web=127.0.0.1:"
    with origin() as served, end(home_is) as home, end(f"{work_is}{served}") as work:

        def use() -> None:
            with connected(clients) as client:
                ask(client, f"GET /json/{SIZE}/1", "web")

        for _ in range(100):  # until work has reached home
            with contextlib.suppress(OSError):
                use()
                return recorded(use, home, work)
            time.sleep(PAUSE)
        raise RuntimeError("work does not reach home")


def check() -> Walk:
    """Return the walk of checking a capture with one entry; its proxy is another process."""
    with origin() as served, tempfile.TemporaryDirectory() as folder:
        url, capture, recorder = f"http://127.0.0.1:{served}", Path(folder, "walk.har"), Recorder()
        request = {"method": "GET", "url": f"{url}/json/40/1", "httpVersion": "HTTP/1.1", "headers": []}
        response = {"status": 200, "statusText": "OK", "httpVersion": "HTTP/1.1", "headers": [], "content": {}}
        entry = {"startedDateTime": "2026-01-01T00:00:00Z", "time": 1, "request": request, "response": response}
        capture.write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}))
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            recorder.start()
            run_command(["capture", "check", str(capture), "--target", url, "--confdir", folder])
            recorder.stop()
        return recorder.walk


WALKS: dict[str, Callable[[], Walk]] = {
    "get": lambda: get("json", itertools.count()),
    "hit": lambda: get("hit", itertools.repeat(1)),
    "connect": connect,
    "session": session,
    "check": check,
}


def main(arguments: Sequence[str]) -> int:
    """Print a walk; return the exit code."""
    name = arguments[0] if arguments else "get"
    if name not in WALKS or len(arguments) > 1:
        print(f"scripts/walks takes one of {', '.join(WALKS)}", file=sys.stderr)
        return 2
    files: dict[str, list[str]] = {}
    for file, function in WALKS[name]():
        files.setdefault(file, []).append(function.replace("<locals>.", ""))
    for file, functions in files.items():
        print(textwrap.fill(f"{file}: {', '.join(functions)}", 120, subsequent_indent="    ", break_on_hyphens=False))
    print(f"{len(files)} files, {sum(map(len, files.values()))} functions")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
