"""Several workers on one port, as real processes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.mitmdump import ADDONS, environment
from tests.support.printed import Printed
from tests.support.waiting import PATIENCE, wait_until

COMMAND = ("-s", str(ADDONS / "policy.py"), "--listen-host", "127.0.0.1", "-p", "0")


class Workers:
    """The supervisor as a process."""

    def __init__(self, confdir: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "proxy_policies.workers.supervisor", *arguments, "--set", f"confdir={confdir}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(PYTHONPATH=str(ADDONS)),
            start_new_session=True,
        )
        self.confdir = confdir
        assert self.process.stdout
        self._printed = Printed(self.process.stdout)

    @property
    def text(self) -> str:
        """The output of all so far."""
        return self._printed.text

    def listening(self) -> list[int]:
        """Return the port of each worker that listens."""
        return [int(port) for port in re.findall(r"listening at 127.0.0.1:(\d+)", self.text)]

    @property
    def port(self) -> int:
        """The port they share."""
        (port,) = set(self.listening())
        return port

    def children(self) -> set[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return set(map(int, listed.split()))

    def wait_until[T](self, condition: Callable[[], T], timeout: float = 40, what: str = "") -> T:
        """Wait as `wait_until` does; a failure shows their output, and the files in their confdir."""
        try:
            return wait_until(condition, timeout, what)
        except AssertionError as error:
            files = "\n".join(sorted(str(path) for path in self.confdir.rglob("*")))
            raise AssertionError(f"{error}\n{self.text}\n{files}") from None

    def wait_listening(self, count: int) -> None:
        """Wait until that many workers listen."""
        self.wait_until(lambda: len(self.listening()) == count, what=f"{count} workers")

    def wait_exit(self, timeout: float = 40) -> int:
        """Wait until they end by themselves and return the exit code; the output is complete then."""
        code = self.process.wait(timeout * PATIENCE)
        self._printed.wait_end(5 * PATIENCE)
        return code

    def stop(self) -> int:
        """End them and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_exit()
