"""Real home and work processes, killed, frozen and started again, with real SSH sessions in between."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.home_and_works import BEAT, HomeAndWorks
from tests.support.mitmdump import environment
from tests.support.networks import cut_off, own_network
from tests.support.refused_clients import how_refused
from tests.support.sshd import Sshd
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)

QUICK_BEAT = "600ms"  # where it is tested that silence is noticed
SILENCE = 3 * 0.6  # seconds: three heartbeats
WAIT = 20.0
BACK = 10  # seconds within which a restarted tunnel is in service: the longest wait between two tries, and a handshake


@pytest.fixture
def pair(tmp_path: Path, sshd: Sshd, request: pytest.FixtureRequest) -> Iterator[HomeAndWorks]:
    started = HomeAndWorks(tmp_path, clients=["ssh"], beat=getattr(request, "param", BEAT))
    started.start_work({"ssh": sshd.port})
    yield started
    started.close()


class Session:
    """An SSH session that stays open, and answers as long as it is alive."""

    def __init__(self, pair: HomeAndWorks, sshd: Sshd) -> None:
        command = sshd.command(pair.client_listeners["ssh"], "cat")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
        assert self.says("hello")

    def says(self, word: str) -> bool:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{word}\n".encode())
        self.process.stdin.flush()
        return self.process.stdout.readline() == f"{word}\n".encode()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def session(pair: HomeAndWorks, sshd: Sshd) -> Iterator[Session]:
    opened = Session(pair, sshd)
    yield opened
    opened.close()


def works(pair: HomeAndWorks, sshd: Sshd) -> bool:
    return sshd.run(pair.client_listeners["ssh"], "echo back").stdout == b"back\n"


def in_service_again(pair: HomeAndWorks, sshd: Sshd) -> None:
    wait_until(lambda: works(pair, sshd), BACK, "the tunnel to be back in service")


@pytest.mark.parametrize("pair", [QUICK_BEAT], indirect=True)
def test_a_frozen_work_is_noticed_and_comes_back(pair: HomeAndWorks, sshd: Sshd, session: Session) -> None:
    """Its kernel goes on acknowledging: only the heartbeat can tell."""
    work = pair.works["office"]
    work.process.send_signal(signal.SIGSTOP)
    pair.home.wait_log(rf"work office disconnected: silent for {SILENCE:g} s", timeout=SILENCE + 5)
    assert session.process.wait(100) != 0  # the idle session was given up as well
    how_refused(pair.client_listeners["ssh"])
    pair.home.wait_log("no work connected")  # at once, unlike for a work that does not answer
    work.process.send_signal(signal.SIGCONT)
    in_service_again(pair, sshd)


@pytest.mark.parametrize("pair", [QUICK_BEAT], indirect=True)
def test_a_frozen_home_is_noticed_and_comes_back(pair: HomeAndWorks, sshd: Sshd) -> None:
    pair.home.process.send_signal(signal.SIGSTOP)
    pair.works["office"].wait_log(rf"no connection to home .*silent for {SILENCE:g} s", timeout=SILENCE + 5)
    pair.home.process.send_signal(signal.SIGCONT)
    in_service_again(pair, sshd)


def test_work_killed_and_started_again(pair: HomeAndWorks, sshd: Sshd, session: Session) -> None:
    for _ in range(3):
        pair.works["office"].stop(signal.SIGKILL)
        pair.start_work({"ssh": sshd.port})
        in_service_again(pair, sshd)
    assert session.process.wait(100) != 0
    assert "already in use" not in pair.home.log()


def test_home_killed_and_started_again_on_the_same_ports(pair: HomeAndWorks, sshd: Sshd, session: Session) -> None:
    """With sessions that were open: their half-closed remains hold no port."""
    for _ in range(3):
        pair.home.stop(signal.SIGKILL)
        pair.start_home()
        in_service_again(pair, sshd)
        assert "cannot listen" not in pair.home.log()
    assert session.process.wait(100) != 0


def test_a_second_work_of_the_same_name_takes_over_and_sessions_live_on(
    pair: HomeAndWorks, sshd: Sshd, session: Session
) -> None:
    first = pair.works["office"]
    try:
        pair.start_work({"ssh": sshd.port})
        pair.home.wait_log("work office replaces its earlier command connection")
        first.wait_log("replaced: by a newer command connection")
        assert session.says("still here")
        assert works(pair, sshd)
    finally:
        first.stop()


def test_work_waits_for_a_home_that_is_not_there_yet(pair: HomeAndWorks, sshd: Sshd) -> None:
    """One line, a warning, however often it tries; an error would end mitmdump at its start."""
    pair.home.stop()
    early = pair.start_work({"ssh": sshd.port}, name="early", wait=False)
    early.wait_log("no connection to home")
    time.sleep(2)
    pair.start_home()
    early.wait_log("work: connected to home paris", timeout=BACK + 5)
    assert early.log().count("no connection to home") == 1


def test_both_end_soon_when_asked_to(pair: HomeAndWorks, session: Session) -> None:
    assert pair.works["office"].stop() == 0
    assert pair.home.stop() == 0
    assert "Traceback" not in pair.home.log() + pair.works["office"].log()


@pytest.mark.parametrize("dies", ["home", "office"])
def test_a_process_that_is_killed_is_no_end_of_file(pair: HomeAndWorks, dies: str) -> None:
    """Half a file is no whole one, neither to a client nor to the service; and the next session is served again."""
    port = pair.client_listeners["ssh"]
    with socket.create_server(("127.0.0.1", 0)) as service:
        service.settimeout(WAIT)
        pair.works["office"].stop()
        pair.start_work({"ssh": service.getsockname()[1]})
        for speaks in (True, False):
            with socket.create_connection(("127.0.0.1", port), WAIT) as client:
                client.sendall(b"x")
                served, _ = service.accept()
                with served:
                    served.settimeout(WAIT)
                    assert served.recv(10) == b"x"
                    if speaks:
                        served.sendall(b"half of it")
                        assert client.recv(100) == b"half of it"
                    (pair.home if dies == "home" else pair.works["office"]).stop(signal.SIGKILL)
                    for sock in (client, served):
                        with pytest.raises(ConnectionResetError):
                            sock.recv(1)
            if dies == "home":
                pair.start_home()
            else:
                pair.start_work({"ssh": service.getsockname()[1]})
            wait_until(lambda: "offers ssh" in pair.home.log(), BACK, "work to be back")


def test_a_path_that_vanishes_is_noticed_though_the_client_does_not_read(tmp_path: Path) -> None:
    with own_network(), socket.create_server(("127.0.0.1", 0)) as service:
        pair = HomeAndWorks(tmp_path, clients=["it"], beat=QUICK_BEAT)
        try:
            pair.start_work({"it": service.getsockname()[1]})
            with socket.create_connection(("127.0.0.1", pair.client_listeners["it"]), WAIT):
                served, _ = service.accept()
                with served:
                    served.setblocking(False)
                    while select.select([], [served], [], SILENCE + 1)[1]:
                        served.send(bytes(65536))
                    assert "left it" not in pair.home.log(), "it is given up for not reading"
                    cut_off(pair.home_port)
                    pair.home.wait_log(rf"left it: .* \(silent for {SILENCE:g} s\)", timeout=WAIT)
        finally:
            pair.close()


class UnauthenticatedPeers:
    """Connect as fast as they can, say something, or nothing, and stay as long as they are let."""

    def __init__(self, port: int, says: bytes) -> None:
        self._port, self._says = port, says
        self._over = threading.Event()
        self.count = 0
        self._thread = threading.Thread(target=self._come, daemon=True)
        self._thread.start()

    def _come(self) -> None:
        inside: deque[socket.socket] = deque(maxlen=200)
        while not self._over.is_set():
            sock = socket.socket()
            inside.append(sock)
            with contextlib.suppress(OSError):
                sock.connect(("127.0.0.1", self._port))
                sock.send(self._says)
                self.count += 1

    def close(self) -> None:
        self._over.set()
        self._thread.join(100)


@pytest.mark.parametrize("says", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "the beginning of a ClientHello"])
def test_unauthenticated_peers_at_works_address_do_not_lock_it_out(tmp_path: Path, sshd: Sshd, says: bytes) -> None:
    pair = HomeAndWorks(tmp_path, clients=["ssh"])
    floods = [UnauthenticatedPeers(pair.home_port, says) for _ in range(2)]
    try:
        wait_until(lambda: all(each.count > 300 for each in floods), what="floods")
        pair.start_work({"ssh": sshd.port})
        greeting = socket.create_connection(("127.0.0.1", pair.client_listeners["ssh"]), timeout=60)
        assert greeting.recv(4) == b"SSH-"
    finally:
        for each in floods:
            each.close()
        pair.close()
