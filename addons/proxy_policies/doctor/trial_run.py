"""Starts a proxy for a moment with the given options, and reports its errors and warnings."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from proxy_policies.control import client, socket_files
from proxy_policies.control.messages import ControlError
from proxy_policies.doctor.finding import Finding, fail, ok, warn
from proxy_policies.options import mitmproxy_arguments

START_TIMEOUT = 60.0  # seconds for a start on a busy machine
POLL_INTERVAL = 0.05
OFF = ("home_listen", "work_home", "capture_file")
"""Options that would disturb a running proxy."""
LEFT_OUT = (*OFF, "mode", "listen_port", "control_socket", "termlog_verbosity", "confdir")
"""Options that the trial sets itself."""
PAGES = ("metrics", "dashboard")
"""Options with an address to listen on, which a running proxy may have already."""
ADVICE = {
    errno.EADDRINUSE: "-p PORT selects another; ss -tlnp shows which process has it",
    errno.EACCES: "-p PORT selects another; those below 1024 need root",
}
"""Advice for a port that cannot be used, by the error's number."""
_TIME = re.compile(r"^\[[\d:.]+\]\s*")
_CACHE = "cache: "
_PAGE_IN_USE = re.compile(rf"^option ({'|'.join(PAGES)})=.*: cannot listen: {os.strerror(errno.EADDRINUSE)}$")
_ORDINARY = re.compile(
    r"logged during startup|^Loading script|^To show all options"
    r"|^(work: work_services|home: home_clients) is set (and|but) (work_home|home_listen) is not"  # OFF
)


def look_at_port(host: str, port: int, confdir: Path) -> Iterator[Finding]:
    """Check whether a port is free, or used by one of our proxies."""
    ours = [one for one in client.instances([confdir]) if port in one.ports]
    if ours:
        yield ok("port", f"{port} is used by a running proxy: {', '.join(one.title for one in ours)}")
        return
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            yield ok("port", f"{host or '*'}:{port} is free")
    except OSError as error:
        why = str(error.strerror or error).partition(" (while ")[0]  # its addition
        yield fail(
            "port", f"{host}:{port}: {why}", ADVICE.get(error.errno or 0, "--listen-host ADDRESS selects another")
        )


def look_at_options(arguments: Sequence[str], confdir: Path) -> Iterator[Finding]:
    """Start a proxy with mitmproxy's arguments on a free port, and report its output."""
    said, stored = _tried(arguments)
    if stored is None and any(map(_PAGE_IN_USE.match, _about_options(said))) and client.instances([confdir]):
        said, stored = _tried(arguments, PAGES)  # a running proxy of the same confdir has the address
    yield from judge(said, stored)


def _tried(arguments: Sequence[str], off: Sequence[str] = ()) -> tuple[str, str | None]:
    """Start a proxy; return its output, and its cache's statistics, None if it did not start."""
    with _confdir() as folder, _started(trial_arguments(arguments, folder, off)) as process:
        instance = _wait(process, folder)
        stored = _stored(instance) if instance is not None else None
        process.terminate()
        said, _ = process.communicate(timeout=START_TIMEOUT)
    return said, stored


def _about_options(said: str) -> list[str]:
    """Return the lines of a proxy's output that say something about its options."""
    lines = [_TIME.sub("", line) for line in said.splitlines()]
    return list(dict.fromkeys(line for line in lines if line.strip() and not _ORDINARY.search(line)))


def judge(said: str, stored: str | None) -> Iterator[Finding]:
    """Return findings from a proxy's output, and from its cache's statistics, None if it did not start."""
    lines = _about_options(said)
    if stored is None:
        yield fail("options", lines[-1] if lines else "the proxy did not start, and gave no reason")
        return
    yield ok("options", "accepted")
    about_cache = [line.removeprefix(_CACHE) for line in lines if line.startswith(_CACHE)]
    yield from (warn("cache", line) for line in about_cache)
    if not about_cache:
        yield ok("cache", stored)
    yield from (warn("options", line) for line in lines if not line.startswith(_CACHE))


def trial_arguments(arguments: Sequence[str], confdir: Path, off: Sequence[str] = ()) -> list[str]:
    """Return the arguments of the trial: the given ones without those that would disturb a running proxy.

    `off` names further options, which are set to off.
    """
    kept: list[str] = []
    words = iter(mitmproxy_arguments.without_modes(arguments))
    for word in words:
        is_apart = word == "--set"
        spec = next(words, "") if is_apart else word.removeprefix("--set=")
        name = spec.partition("=")[0]
        if (is_apart or word.startswith("--set=")) and name in (*LEFT_OUT, *off):
            continue
        kept += [word, spec] if is_apart else [word]
    own = [
        f"confdir={confdir}",
        "termlog_verbosity=warn",
        *(f"{name}=" for name in OFF),
        *(f"{name}=off" for name in off),
    ]
    ours = [part for spec in own for part in ("--set", spec)]
    return ["--listen-host", "127.0.0.1", "--listen-port", "0", *ours, *_modes_on_free_ports(arguments), *kept]


def _modes_on_free_ports(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments of the given modes, with an address of its own for each: mitmproxy accepts no two alike."""
    for number, spec in enumerate(mitmproxy_arguments.modes(arguments), 2):
        bare, _, address = spec.rpartition("@")
        port = address.rpartition(":")[2]
        is_valid = bare and port.isdecimal() and int(port) <= 65535
        yield from ("--mode", f"{bare}@127.0.0.{number}:0" if is_valid else spec)


def _stored(instance: client.Instance) -> str:
    try:
        return ", ".join(instance.ask("cache.stats")["lines"])
    except ControlError as error:
        return str(error)


@contextmanager
def _confdir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="proxy-policies-") as folder:
        yield Path(folder)


@contextmanager
def _started(arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", "-m", "proxy_policies", "run", *arguments]
    process = subprocess.Popen(  # noqa: S603 - ourselves
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _wait(process: subprocess.Popen[str], confdir: Path) -> client.Instance | None:
    """Return the proxy once it answers; None if it has ended, or does not answer in time."""
    until = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < until:
        if socket_files.sockets(confdir) and (found := client.instances([confdir])):
            return found[0]
        time.sleep(POLL_INTERVAL)
    return None
