"""Runs the suite's origin, and our mitmdump in front of it, on free ports of 127.0.0.1."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[str], port: int, log: Path, **environment: str) -> Iterator[None]:
    """Run a command while the context is open, once its port accepts connections."""
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env={**os.environ, **environment})
        try:
            _wait(process, port, log)
            yield
        finally:
            process.terminate()
            process.wait(15)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"{process.args!r} does not listen on {port}:\n{log.read_text()}")


def origin(suite: Path, port: int, folder: Path) -> contextlib.AbstractContextManager[None]:
    """Run the suite's origin."""
    environment = {
        "npm_config_port": str(port),
        "npm_config_protocol": "http",
        "npm_config_pidfile": str(folder / "pid"),
    }
    command = ["node", str(suite / "test-engine/server/server.mjs")]
    return running(command, port, folder / "origin.log", **environment)


def proxy(origin_port: int, port: int, folder: Path, options: Sequence[str]) -> contextlib.AbstractContextManager[None]:
    """Run mitmdump with every policy, in reverse mode."""
    command = [str(Path(sys.executable).parent / "mitmdump"), "-q", "--set", f"confdir={folder}"]
    command += ["--listen-host", "127.0.0.1", "-p", str(port), "--mode", f"reverse:http://127.0.0.1:{origin_port}"]
    command += ["-s", str(ROOT / "addons" / "policy.py")]
    for option in options:
        command += ["--set", option]
    return running(command, port, folder / "proxy.log")
