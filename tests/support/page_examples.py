"""Runs the examples of the pages: blocks marked `console`, with a real proxy and an origin.

A line that begins with `$ ` is a command; the lines after it must appear in its output, in this order, with others
between them; `…` stands for any text. `$ scripts/proxy` starts a proxy on the port that other commands call 8080; the
lines after it must be in its log by the end of the block. `$ cat FILE` makes a file of the lines after it. The origin,
on port 9000, is Python's own server, and serves the folder `site`. Each block runs in its own folder and home.
"""

import http.server
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proxy_policies.control.client import instances
from tests.support.clone import ROOT
from tests.support.mitmdump import ADDONS, LISTENING, MITMDUMP, Running, environment
from tests.support.waiting import wait_until

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WAIT = 90.0
"""Seconds that a start, or a line in the log, may take."""
PAGE = "<!doctype html><p>the same words over and over</p>\n" * 100


@dataclass(frozen=True)
class Command:
    """A command, and the lines it is shown to print."""

    text: str
    printed: tuple[str, ...]


def pages() -> list[Path]:
    """Return the pages that users read."""
    return sorted([ROOT / "README.md", *ROOT.glob("certs/*.md"), *ROOT.glob("addons/**/README.md")])


def examples(page: Path) -> list[list[Command]]:
    """Return the commands of each block of a page."""
    return [list(_commands(block)) for block in _BLOCK.findall(page.read_text())]


def _commands(block: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        text, *printed = part.splitlines()
        yield Command(text, tuple(line for line in printed if line))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def _origin(folder: Path) -> Iterator[http.server.ThreadingHTTPServer]:
    for page in (folder / "index.html", folder / "README.md"):
        page.write_text(PAGE)
        os.utime(page, (time.time() - 86400,) * 2)  # what was changed just now is not guessed to be fresh for a while
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: _Quiet(*arguments, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Session:
    """Runs the commands of one block."""

    def __init__(self, folder: Path, origin: http.server.ThreadingHTTPServer) -> None:
        self._folder, self._origin = folder, origin
        self._proxy: Running | None = None
        self._shown: Sequence[str] = ()

    def run(self, commands: Sequence[Command]) -> None:
        """Run them all. Raise AssertionError if one does not print what the page shows."""
        try:
            for command in commands:
                self._run_one(command)
            self._check_log()
        finally:
            self._stop()

    def _run_one(self, command: Command) -> None:
        name, *arguments = shlex.split(command.text, comments=True)
        if name == "scripts/proxy":
            self._check_log()
            self._stop()
            self._start([self._local(argument) for argument in arguments])
            self._shown = command.printed
        elif name == "cat":
            (self._folder / arguments[0]).write_text(self._local("\n".join(command.printed)) + "\n")
        else:
            if "the origin is stopped" in command.text:
                self._origin.shutdown()
                self._origin.server_close()
            self._shell(command)

    def _local(self, text: str) -> str:
        """Replace the ports of the pages by the actual ones."""
        text = text.replace("127.0.0.1:9000", f"127.0.0.1:{self._origin.server_port}")
        if self._proxy is None:
            return text
        return re.sub(r"(127\.0\.0\.1|localhost)([:/])8080", rf"127.0.0.1\g<2>{self._proxy.port}", text)

    def _start(self, arguments: Sequence[str]) -> None:
        command = [MITMDUMP, "--set", f"confdir={self._folder / '.mitmproxy'}"]
        command += ["--listen-host", "127.0.0.1", "--listen-port", "0", "-s", str(ADDONS / "policy.py"), *arguments]
        self._proxy = Running(command, cwd=self._folder)

    def _shell(self, command: Command) -> None:
        if "8080" in command.text:
            assert self._proxy, "the block starts no proxy"
        if self._proxy and not self._proxy.port:
            self._proxy.port = int(self._proxy.wait_log(LISTENING, WAIT)[1])
            wait_until(lambda: instances([self._folder / ".mitmproxy"]), WAIT, "the control socket")
        run = rf"{shlex.quote(sys.executable)} -m \1"
        text = re.sub(r"^(proxy-policies|pytest)\b", run, self._local(command.text)).replace(
            "-m proxy-policies", "-m proxy_policies", 1
        )
        done = subprocess.run(
            ["bash", "-c", text], capture_output=True, text=True, timeout=120,
            env={**environment(), "HOME": str(self._folder)}, cwd=self._folder,
        )  # fmt: skip
        assert shown_in(command.printed, done.stdout + done.stderr, self._local), f"{command}\n{done}"

    def _check_log(self) -> None:
        if self._proxy is not None and self._shown:
            self._proxy.wait_log(pattern_of(self._shown, self._local), WAIT)

    def _stop(self) -> None:
        if self._proxy is not None:
            self._proxy.stop()
            self._proxy, self._shown = None, ()


def pattern_of(lines: Sequence[str], local: Callable[[str], str]) -> str:
    """Return a pattern for lines in this order, with others between them."""
    parts = [re.escape(local(line.strip())).replace("…", ".*?") for line in lines]
    return r"(?s)" + ".*?".join(parts)


def shown_in(lines: Sequence[str], text: str, local: Callable[[str], str]) -> bool:
    """Return whether an output contains the lines that the page shows."""
    return re.search(pattern_of(lines, local), text) is not None


def run_example(commands: Sequence[Command], folder: Path) -> None:
    """Run one block in a folder of its own."""
    site = folder / "site"
    site.mkdir()
    with _origin(site) as origin:
        Session(folder, origin).run(commands)
