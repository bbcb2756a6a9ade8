"""The real mitmdump (or mitmweb) as a process."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy_policies.control import socket_files
from proxy_policies.control.client import ask
from proxy_policies.control.messages import Question
from tests.support import fork_server
from tests.support.fork_server import ForkedProcess
from tests.support.printed import Printed
from tests.support.waiting import PATIENCE, free_port, wait_until

ADDONS = Path(__file__).parents[2] / "addons"
LISTENING = re.compile(r"listening at (?:http://)?\S*?:(\d+)")
MITMDUMP = str(Path(sys.executable).with_name("mitmdump"))
PROXY_VARIABLES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}

Process = subprocess.Popen[bytes] | ForkedProcess


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without proxy settings, for a child."""
    kept = {k: v for k, v in os.environ.items() if k.lower() not in PROXY_VARIABLES}
    return {**kept, "NO_COLOR": "1", **extra}


class Running:
    """A process and its output."""

    is_forked = sys.platform == "linux"
    """mitmdump is started by the fork server. On other systems that may hang: some libraries do not survive a fork."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        self.process = self._start(command, env, cwd)
        self.port = 0
        assert self.process.stdout
        self._printed = Printed(self.process.stdout)

    def _start(self, command: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None) -> Process:
        if self.is_forked and not env and command[0] == MITMDUMP:
            return fork_server.start(command, environment(), cwd)
        is_bare = command[0] == MITMDUMP and "-s" not in command  # which keeps what it prints to itself
        bare = {"PYTHONUNBUFFERED": "1"} if is_bare else {}
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(**bare, **(env or {})),
            cwd=cwd,
            start_new_session=True,
        )

    def wait_listening(self, no_server: bool = False) -> None:
        """Wait until the proxy accepts connections (with `-n`: until the script is loaded)."""
        if no_server:
            self.wait_log("Loading script")
            return
        self.port = int(self.wait_log(LISTENING)[1])

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    @property
    def url(self) -> str:
        """The proxy's URL."""
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        """Return what it has printed so far."""
        return self._printed.text

    def wait_log(self, pattern: str | re.Pattern[str], timeout: float = 20) -> re.Match[str]:
        """Wait until it has printed something that matches."""

        def found() -> re.Match[str] | None:
            match = re.search(pattern, self.log())
            if match is None and self.process.poll() is not None:
                self._printed.wait_end(5 * PATIENCE)
                match = re.search(pattern, self.log())
                assert match, f"ended with {self.process.returncode}:\n{self.log()}"
            return match

        try:
            match = wait_until(found, timeout, f"log line {pattern}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None
        assert match
        return match

    def wait_exit(self, timeout: float = 20) -> int:
        """Wait until it ends by itself and return its exit code; the log is complete then."""
        code = self.process.wait(timeout * PATIENCE)
        self._printed.wait_end(5 * PATIENCE)
        return code

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = 40) -> int:
        """End it and return its exit code; clients in tunnels have its grace period."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5 * PATIENCE)
            raise
        self._printed.wait_end(5 * PATIENCE)
        return code

    def resident(self) -> int:
        """Return its resident memory in bytes (Linux)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert match
        return int(match[1]) * 1024


class Mitmdump(Running):
    """A running mitmdump; `port` is the first it listens on, 0 with `-n`."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        confdir: Path,
        script: str | Path | None = "policy.py",
        mode: str | None = None,
        program: str = "mitmdump",
        env: Mapping[str, str] | None = None,
        wait: bool = True,
        around: Sequence[str] = (),
    ) -> None:
        command = [str(Path(sys.executable).with_name(program)), "--set", f"confdir={confdir}"]
        command += ["--listen-host", "127.0.0.1", "--listen-port", "0"]
        command += ["--mode", mode] if mode else []
        command += ["-s", str(ADDONS / script)] if script else []
        super().__init__([*around, *command, *arguments], env)
        self.confdir = confdir
        if wait:
            self.wait_listening("-n" in arguments)

    @property
    def ca(self) -> Path:
        """The CA certificate that clients of inspected hosts must trust."""
        return self.confdir / "mitmproxy-ca-cert.pem"

    def wait_control(self) -> Path:
        """Return the path of the control socket, once it is there."""
        path = socket_files.folder_of(self.confdir) / f"{self.pid}.sock"
        wait_until(path.exists, 20, "the control socket")
        return path

    def counts(self) -> Mapping[str, int]:
        """Return how often each fast path was taken, as in `proxy-policies stats`."""
        counted: Mapping[str, int] = ask(self.wait_control(), Question("stats"))["policies"]["fastlane"]
        return counted


LANES = ("off", "on")


@dataclass
class Both:
    """One mitmdump in several modes, with the port of each."""

    process: Mitmdump
    ports: dict[str, int]


MODES = {"regular": "regular", "reverse": "reverse:{}", "upstream": "upstream:{}"}


def both_modes(origin: str, confdir: Path, *arguments: str, modes: Sequence[str] = ("regular", "reverse")) -> Both:
    """Start mitmdump as a regular proxy and, beside it, as a reverse proxy to `origin` (or with it as next proxy)."""
    ports = {mode: free_port() for mode in modes}
    specs = [f"{MODES[mode].format(origin)}@127.0.0.1:{port}" for mode, port in ports.items()]
    more = [part for spec in specs[1:] for part in ("--mode", spec)]
    process = Mitmdump([*more, *arguments], confdir=confdir, mode=specs[0], wait=False)
    for port in ports.values():
        process.wait_log(rf"listening at \S*127\.0\.0\.1:{port}\b")
    return Both(process, ports)
