"""Several workers on one port, as the processes they are."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.support.mitmdump import ADDONS, environment

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
        self.text = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            for line in lines:
                self.text += line.decode()

    def listening(self) -> list[int]:
        """The ports, one per worker that listens."""
        return [int(port) for port in re.findall(r"listening at 127.0.0.1:(\d+)", self.text)]

    @property
    def port(self) -> int:
        """The port they share."""
        (port,) = set(self.listening())
        return port

    def children(self) -> set[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return set(map(int, listed.split()))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(40)
        self.reader.join(5)
        return code
