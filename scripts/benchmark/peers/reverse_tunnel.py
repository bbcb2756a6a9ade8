"""Runs both ends of a reverse tunnel from a port to an origin: `reverse_tunnel.py certificates|none|ssh PORT ORIGIN`.

It works in the current folder. Its processes are children, so that their CPU time is counted.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from proxy_policies.reverse_tunnel import certificates

ROOT = Path(__file__).resolve().parents[3]
SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin") or "/usr/sbin/sshd"
SSHD_CONFIG = """ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
MaxStartups 500
"""


def free_port() -> int:
    """Find a free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(log: Path, text: str) -> None:
    """Wait until a log contains a text."""
    deadline = time.monotonic() + 15
    while text not in log.read_text(errors="replace"):
        if time.monotonic() > deadline:
            sys.exit(f"{log.name} never said {text!r}:\n{log.read_text(errors='replace')}")
        time.sleep(0.05)


def mitmdump(name: str, *settings: str) -> Path:
    """Start one end of our tunnel; return the path of its log."""
    flags = [part for setting in settings for part in ("--set", setting)]
    log = Path(f"{name}.log")
    command = [str(Path(sys.executable).parent / "mitmdump"), "-n", "--set", f"confdir={name}"]
    with log.open("wb") as sink:
        subprocess.Popen([*command, "-s", str(ROOT / "addons" / f"{name}.py"), *flags], stdout=sink, stderr=sink)
    return log


def ours(tls: str, port: int, origin: int) -> None:
    """Run home and work. The port is occupied until work is connected: home then opens its client listener."""
    folders = {"home": "none", "work": "none"}
    if tls == "certificates":
        here = Path.cwd()
        folders = {kind: str(certificates.make(kind, kind, here / "keys" / kind)) for kind in folders}
    trunk = free_port()
    with socket.socket() as seat:
        seat.bind(("127.0.0.1", port))
        home = [f"home_listen={trunk}", f"home_tls={folders['home']}", f"home_clients={port}=origin"]
        wait_for(mitmdump("home", *home), "home: listening")
        work = [f"work_home=127.0.0.1:{trunk}", f"work_tls={folders['work']}"]
        wait_for(mitmdump("work", *work, f"work_services=origin=127.0.0.1:{origin}"), "work: connected")


def ssh(port: int, origin: int) -> None:
    """Run sshd, and ssh -R to it."""
    here, sshd_port = Path.cwd(), free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name], check=True)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    Path("config").write_text(SSHD_CONFIG.format(port=sshd_port, folder=here))
    with Path("sshd.log").open("wb") as sink:
        subprocess.Popen([SSHD, "-D", "-e", "-f", str(here / "config")], stderr=sink)
    wait_for(Path("sshd.log"), "listening on")
    trust = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    forward = ["-N", "-R", f"127.0.0.1:{port}:127.0.0.1:{origin}", "-p", str(sshd_port)]
    subprocess.Popen(["ssh", "-F", "none", "-i", "user", *trust, *forward, f"{getpass.getuser()}@127.0.0.1"])


def main() -> None:
    """Start the tunnel, and wait until this process is ended."""
    kind, port, origin = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    ssh(port, origin) if kind == "ssh" else ours(kind, port, origin)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
