"""A home and works as real mitmdump processes, with their own certificates."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxy_policies.reverse_tunnel import certificates
from tests.support.mitmdump import Mitmdump
from tests.support.waiting import free_port

BEAT = "2s"


class HomeAndWorks:
    """One home, and works by name."""

    def __init__(
        self,
        folder: Path,
        *,
        clients: Sequence[str] = (),
        script: str = "home.py",
        beat: str = BEAT,
        grace: str = "0s",
    ) -> None:
        self.folder, self.home_port, self.beat, self.grace = folder, free_port(), beat, grace
        self.client_listeners = {service: free_port() for service in clients}
        self.works: dict[str, Mitmdump] = {}
        self._script = script
        self.home = self.start_home()

    def certificate(self, kind: str, name: str) -> Path:
        """Return the folder of a certificate, which is created on first use."""
        folder = self.folder / "certs" / f"{kind}-{name}"
        return folder if folder.exists() else certificates.make(kind, name, folder)

    def start_home(self, *arguments: str, **options: Any) -> Mitmdump:
        """Start home (again), on the same ports."""
        settings = [f"home_listen=127.0.0.1:{self.home_port}", f"home_tls={self.certificate('home', 'paris')}"]
        settings += [f"home_clients={port}={service}" for service, port in self.client_listeners.items()]
        self.home = self._start(self._script, settings, arguments, "home", **options)
        self.home.wait_log(rf"home: listening on 127.0.0.1:{self.home_port}")
        return self.home

    def start_work(
        self, services: dict[str, int], *arguments: str, name: str = "office", wait: bool = True
    ) -> Mitmdump:
        """Start a work (again); `services` are ports of 127.0.0.1."""
        settings = [f"work_home=127.0.0.1:{self.home_port}", f"work_tls={self.certificate('work', name)}"]
        settings += [f"work_services={service}=127.0.0.1:{port}" for service, port in services.items()]
        work = self.works[name] = self._start("work.py", settings, ["-n", *arguments], f"work-{name}")
        if wait:
            work.wait_log("work: connected to home paris")
        return work

    def _start(
        self, script: str, settings: Sequence[str], arguments: Sequence[str], name: str, **options: Any
    ) -> Mitmdump:
        settings = [*settings, f"tunnel_heartbeat={self.beat}", f"grace_period={self.grace}"]
        flags = [part for value in settings for part in ("--set", value)]
        return Mitmdump([*flags, *arguments], confdir=self.folder / f"conf-{name}", script=script, **options)

    def close(self) -> None:
        """End everything, including frozen processes."""
        for process in (self.home, *self.works.values()):
            if process.process.poll() is None:
                process.process.send_signal(signal.SIGCONT)
            process.stop()
