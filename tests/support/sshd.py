"""A real OpenSSH server on a free port of 127.0.0.1, and its clients, with keys created for the test."""

import getpass
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.mitmdump import environment
from tests.support.waiting import free_port, wait_until

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin") or "/usr/sbin/sshd"

CONFIG = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 500
MaxSessions 200
Subsystem sftp internal-sftp
LogLevel VERBOSE
"""


class Sshd:
    """A running sshd. Clients reach it directly (`port`) or by any other port that leads to it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        (folder / "config").write_text(CONFIG.format(port=self.port, folder=folder))
        host_key = " ".join((folder / "host.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text(f"127.0.0.1 {host_key}\n")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "config")], stderr=self._log)
        wait_until(lambda: "listening on" in (folder / "log").read_text(), what="sshd")

    def options(self, port: int, port_flag: str = "-p") -> list[str]:
        """Return the options with which ssh (scp and sftp: `port_flag` -P) reaches it through a port."""
        settings = {
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": "127.0.0.1",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": "20",
            "IdentitiesOnly": "yes",
        }
        flags = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        return ["-F", "none", *flags, "-i", str(self.folder / "user"), port_flag, str(port)]

    @property
    def target(self) -> str:
        """The user and host to log in to."""
        return f"{getpass.getuser()}@127.0.0.1"

    def command(self, port: int, *command: str, flags: Sequence[str] = ()) -> list[str]:
        """Return the command line that runs a command over ssh."""
        return ["ssh", *self.options(port), *flags, self.target, *command]

    def run(
        self, port: int, *command: str, stdin: bytes = b"", timeout: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command over ssh."""
        line = self.command(port, *command)
        return subprocess.run(line, input=stdin, capture_output=True, timeout=timeout, env=environment())

    def copy(self, port: int, source: str, target: str, program: str = "scp", timeout: float = 100) -> None:
        """Run scp; in `source` and `target` a leading `:` stands for the server."""
        ends = [f"{self.target}{end}" if end.startswith(":") else end for end in (source, target)]
        line = [program, "-q", *self.options(port, "-P"), *ends]
        subprocess.run(line, check=True, timeout=timeout, env=environment())

    def close(self) -> None:
        """End the server; its sessions end with their clients."""
        self.process.terminate()
        self.process.wait(100)
        self._log.close()
