"""Several workers on one port, as real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.curl import curl
from tests.support.mitmdump import ADDONS, environment
from tests.support.origin import Origin
from tests.support.waiting import wait_until

from proxy_policies.fastlane.workers import fixed_port, main

pytestmark = pytest.mark.timeout(90)


class Workers:
    """The supervisor as a process."""

    def __init__(self, confdir: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "proxy_policies.fastlane.workers", *arguments, "--set", f"confdir={confdir}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(PYTHONPATH=str(ADDONS)),
            start_new_session=True,
        )
        self.text = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.text += line.decode()

    def listening(self) -> list[int]:
        """The ports, one per worker that listens."""
        return [int(port) for port in re.findall(r"listening at 127.0.0.1:(\d+)", self.text)]

    def children(self) -> set[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return set(map(int, listed.split()))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(15)
        self.reader.join(5)
        return code


@pytest.fixture
def started() -> Iterator[list[Workers]]:
    running: list[Workers] = []
    yield running
    for workers in running:
        if workers.process.poll() is None:
            workers.stop()


COMMAND = ("-s", str(ADDONS / "policy.py"), "--listen-host", "127.0.0.1", "-p", "0")


def test_they_share_a_port_and_come_back(tmp_path: Path, started: list[Workers]) -> None:
    origin = Origin()
    workers = Workers(tmp_path, "3", *COMMAND, "--mode", f"reverse:{origin.url}")
    started.append(workers)
    wait_until(lambda: len(workers.listening()) == 3, 40, "three workers")
    (port,) = set(workers.listening())
    assert workers.text.count("each worker has a cache of its own") == 1
    for _ in range(30):
        assert curl(f"http://127.0.0.1:{port}/").status == 200
    speakers = set(re.findall(r"(?m)^(\d) .*client connect", workers.text))
    assert len(speakers) > 1
    victim = min(workers.children())
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(workers.listening()) == 4, 40, "one started again")
    assert "died (SIGKILL), starting it again" in workers.text
    for _ in range(10):
        assert curl(f"http://127.0.0.1:{port}/").status == 200
    children = workers.children()
    assert len(children) == 3
    assert workers.stop() == 0
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert "Traceback" not in workers.text
    origin.close()


def test_quiet_ones_come_all_the_same(tmp_path: Path, started: list[Workers]) -> None:
    workers = Workers(tmp_path, "3", *COMMAND, "-q")
    started.append(workers)
    wait_until(lambda: len(workers.children()) == 3, 40, "three workers")
    assert workers.stop() == 0


def test_stopped_before_they_listen_they_end(tmp_path: Path, started: list[Workers]) -> None:
    workers = Workers(tmp_path, "3", *COMMAND)
    started.append(workers)
    wait_until(workers.children, 40, "a worker")
    assert workers.stop() == 0
    assert "Traceback" not in workers.text


def test_wrong_arguments_end_it(tmp_path: Path, started: list[Workers]) -> None:
    workers = Workers(tmp_path, "2", *COMMAND, "--set", "fast_lane=perhaps")
    started.append(workers)
    assert workers.process.wait(30) == 1
    workers.reader.join(5)
    assert workers.text.count("choose one of off, on, all") == 1


@pytest.mark.parametrize("arguments", [[], ["none"], ["0"], ["-p", "1"]], ids=str)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().out.startswith("usage")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-p", "0"], ["-p", "77"]),
        (["--listen-port", "0"], ["--listen-port", "77"]),
        (["--listen-port=0"], ["--listen-port=77"]),
        (["--set", "listen_port=0"], ["--set", "listen_port=77"]),
        (["-p", "8080", "-n", "0"], ["-p", "8080", "-n", "0"]),
    ],
    ids=str,
)
def test_a_port_that_is_free_is_chosen_once(arguments: list[str], expected: list[str]) -> None:
    assert fixed_port(arguments, 77) == expected
