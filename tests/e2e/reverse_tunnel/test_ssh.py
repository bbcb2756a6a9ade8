"""Real OpenSSH through home and work."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.home_and_works import HomeAndWorks
from tests.support.mitmdump import environment
from tests.support.sshd import Sshd
from tests.support.waiting import free_port, wait_until

MIB = 1 << 20


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, sshd: Sshd) -> Iterator[HomeAndWorks]:
    started = HomeAndWorks(tmp_path_factory.mktemp("tunnel"), clients=["ssh"])
    started.start_work({"ssh": sshd.port})
    yield started
    started.close()


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def random_file(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    return path


class Terminal:
    """An interactive program on a pseudo-terminal."""

    def __init__(self, command: list[str]) -> None:
        pid, self._fd = pty.fork()
        if pid == 0:
            os.execvpe(command[0], command, environment(TERM="dumb"))
        self.pid, self._seen = pid, b""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def expect(self, text: bytes, timeout: float = 20) -> None:
        deadline = time.monotonic() + timeout
        while text not in self._seen:
            ready, _, _ = select.select([self._fd], [], [], deadline - time.monotonic())
            assert ready, f"no {text!r} in {self._seen!r}"
            self._seen += os.read(self._fd, 4096)
        self._seen = self._seen.partition(text)[2]

    def close(self) -> int:
        """Wait for the program to end; returns its exit code."""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while os.read(self._fd, 4096):
                pass
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_an_interactive_session(pair: HomeAndWorks, sshd: Sshd) -> None:
    terminal = Terminal(sshd.command(pair.client_listeners["ssh"], "/bin/sh", flags=["-tt"]))
    terminal.type("stty -echo; PS1='>''> '; tty; echo $((6*7))\n")
    terminal.expect(b"/dev/pts/")
    terminal.expect(b"42")
    terminal.type("cat\n")
    for word in ("one", "two", "three"):
        terminal.type(f"{word}\n")
        terminal.expect(word.encode())
    terminal.type("\x03")
    terminal.expect(b">> ")  # the terminal forgets what is typed until then
    terminal.type("echo $((20+3))\n")
    terminal.expect(b"23")
    terminal.type("exit\n")
    assert terminal.close() == 0


@pytest.mark.parametrize(
    "size",
    [pytest.param(64 * MIB, id="64 MiB"), pytest.param(1024 * MIB, id="1 GiB", marks=pytest.mark.deep)],
)
@pytest.mark.parametrize("program", ["scp", "sftp"])
@pytest.mark.timeout(240)
def test_copying_there_and_back(pair: HomeAndWorks, sshd: Sshd, tmp_path: Path, program: str, size: int) -> None:
    source, there, back = random_file(tmp_path / "source", size), tmp_path / "there", tmp_path / "back"
    if program == "scp":
        sshd.copy(pair.client_listeners["ssh"], str(source), f":{there}")
        sshd.copy(pair.client_listeners["ssh"], f":{there}", str(back))
    else:
        batch = tmp_path / "batch"
        batch.write_text(f"put {source} {there}\nget {there} {back}\n")
        options = sshd.options(pair.client_listeners["ssh"], "-P")
        line = ["sftp", "-q", "-b", str(batch), *options, sshd.target]
        subprocess.run(line, check=True, timeout=200, env=environment(), stdout=subprocess.DEVNULL)
    assert digest(there) == digest(back) == digest(source)
    for path in (source, there, back):
        path.unlink()


def test_port_forwarding_both_ways(pair: HomeAndWorks, sshd: Sshd) -> None:
    """-L leads to sshd again, so that a whole SSH session runs inside the forwarded port."""
    local = free_port()
    flags = ["-N", "-L", f"127.0.0.1:{local}:127.0.0.1:{sshd.port}", "-o", "ExitOnForwardFailure=yes"]
    remote = free_port()
    flags += ["-R", f"127.0.0.1:{remote}:127.0.0.1:{sshd.port}"]
    forwarding = subprocess.Popen(sshd.command(pair.client_listeners["ssh"], flags=flags), env=environment())
    try:
        for port in (local, remote):
            done = wait_until(lambda port=port: _echo(sshd, port), 20, "the forwarded port")  # type: ignore[misc]
            assert done == b"forwarded\n"
    finally:
        forwarding.terminate()
        forwarding.wait(100)


def _echo(sshd: Sshd, port: int) -> bytes:
    return sshd.run(port, "echo forwarded").stdout


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(0, id="a moment"),
        pytest.param(150, id="minutes", marks=[pytest.mark.deep, pytest.mark.timeout(400)]),
    ],
)
def test_fifty_sessions_at_once_and_one_that_stays(pair: HomeAndWorks, sshd: Sshd, seconds: float) -> None:
    """The one that stays is silent while the others come and go."""
    stays = Terminal(sshd.command(pair.client_listeners["ssh"], "/bin/sh", flags=["-tt"]))
    stays.type("stty -echo; echo rea''dy\n")
    stays.expect(b"ready")
    data = os.urandom(MIB // 4)

    def session(number: int) -> bytes:
        done = sshd.run(pair.client_listeners["ssh"], "cat; echo $((1000+1))", stdin=data + bytes(str(number), "ascii"))
        return done.stdout

    until = time.monotonic() + seconds
    with ThreadPoolExecutor(50) as pool:
        while True:
            answers = list(pool.map(session, range(50)))
            assert answers == [data + str(number).encode() + b"1001\n" for number in range(50)]
            if time.monotonic() > until:
                break
    stays.type("echo still he''re\n")
    stays.expect(b"still here")
    stays.type("exit\n")
    stays.close()


def test_exit_codes_and_errors_come_through(pair: HomeAndWorks, sshd: Sshd) -> None:
    done = sshd.run(pair.client_listeners["ssh"], "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
