"""Several workers share a port and the cache on disk, and are restarted when they die."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.curl import curl
from tests.support.early_clients import EarlyClients, get
from tests.support.files import rewrite
from tests.support.mitmdump import ADDONS
from tests.support.origin import Answer, Origin
from tests.support.waiting import PATIENCE
from tests.support.workers import COMMAND, Workers

from proxy_policies.cache.stores.checksums import verified

pytestmark = [pytest.mark.timeout(150), pytest.mark.xdist_group("workers")]  # each takes several processes
POLICY = str(ADDONS / "policy.py")


@pytest.fixture
def started() -> Iterator[list[Workers]]:
    running: list[Workers] = []
    yield running
    for workers in running:
        if workers.process.poll() is None:
            workers.stop()


@pytest.mark.parametrize("mode", ["reverse:https://127.0.0.1:9", "dns"])
def test_the_first_has_the_port_for_datagrams(tmp_path: Path, started: list[Workers], mode: str) -> None:
    workers = Workers(tmp_path, "2", *COMMAND, "--mode", mode)
    started.append(workers)
    workers.wait_listening(2)
    socket.create_connection(("127.0.0.1", workers.port), timeout=100).close()
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(OSError, match="in use"):
        sock.bind(("127.0.0.1", workers.port))
    assert workers.stop() == 0
    assert "died" not in workers.text


def test_they_share_a_port_and_come_back(tmp_path: Path, started: list[Workers]) -> None:
    origin = Origin()
    workers = Workers(tmp_path, "3", *COMMAND, "--mode", f"reverse:{origin.url}")
    started.append(workers)
    workers.wait_listening(3)
    (port,) = set(workers.listening())
    assert workers.text.count("each worker has a cache of its own") == 1
    for _ in range(30):
        assert curl(f"http://127.0.0.1:{port}/").status == 200
    workers.wait_until(
        lambda: len(set(re.findall(r"(?m)^(\d) .*client connect", workers.text))) > 1, what="two at work"
    )
    victim = min(workers.children())
    os.kill(victim, signal.SIGKILL)
    workers.wait_listening(4)
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
    workers.wait_until(lambda: len(workers.children()) == 3, 40, "three workers")
    assert workers.stop() == 0


def test_stopped_before_they_listen_they_end(tmp_path: Path, started: list[Workers]) -> None:
    workers = Workers(tmp_path, "3", *COMMAND)
    started.append(workers)
    workers.wait_until(workers.children, 40, "a worker")
    assert workers.stop() == 0
    assert "Traceback" not in workers.text


def test_wrong_arguments_end_it(tmp_path: Path, started: list[Workers]) -> None:
    workers = Workers(tmp_path, "2", *COMMAND, "--set", "fast_lane=perhaps")
    started.append(workers)
    assert workers.wait_exit() == 1
    assert workers.text.count("choose one of off, on") == 1


def test_a_purge_that_would_reach_one_memory_of_several_is_refused(tmp_path: Path, started: list[Workers]) -> None:
    workers = Workers(tmp_path, "2", *COMMAND, "--set", "cache_purge=0123456789abcdef")
    started.append(workers)
    assert workers.wait_exit() == 1
    assert workers.text.count("would reach the memory of one of them") == 1


ONE_END = "a tunnel ends in one process; run a proxy of its own for it"


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("home_listen=127.0.0.1:0", ONE_END),
        ("work_home=127.0.0.1:9", ONE_END),
        ("capture_file={tmp}/made.har", "one process writes a file; record without --workers"),
        ("replay_file={tmp}/made.har", "each would play every recording; replay without --workers"),
    ],
    ids=["home_listen", "work_home", "capture_file", "replay_file"],
)
def test_what_only_one_process_can_do_is_refused(tmp_path: Path, started: list[Workers], option: str, why: str) -> None:
    given = option.format(tmp=tmp_path)
    assert refused(tmp_path, started, "--set", given).endswith(f": not with several workers: {why}")
    assert not (tmp_path / "made.har").exists()


def test_config_yaml_is_refused_as_well_and_the_command_line_wins(tmp_path: Path, started: list[Workers]) -> None:
    (tmp_path / "config.yaml").write_text("work_home: 127.0.0.1:9\n")
    assert refused(tmp_path, started).startswith("1 option work_home='127.0.0.1:9': not with several workers")
    workers = Workers(tmp_path, "2", *COMMAND, "--set", "work_home=")
    started.append(workers)
    workers.wait_listening(2)


def test_a_policy_file_is_refused_as_well_and_the_command_line_wins(tmp_path: Path, started: list[Workers]) -> None:
    policies = tmp_path / "policies.yaml"
    rewrite(policies, "cache: off\ncapture_file: made.har\n")
    given = ("--set", f"policy_file={policies}")
    line = refused(tmp_path, started, *given)
    assert line.startswith(
        f"1 policy_file {policies}: line 2, option capture_file: 'made.har': not with several workers"
    )
    workers = Workers(tmp_path, "2", *COMMAND, *given, "--set", "capture_file=")
    started.append(workers)
    workers.wait_listening(2)


def refused(tmp_path: Path, started: list[Workers], *arguments: str) -> str:
    """Start two workers that end before they listen, and give the one line they say."""
    workers = Workers(tmp_path, "2", *COMMAND, *arguments)
    started.append(workers)
    assert workers.wait_exit() == 1
    (line,) = workers.text.splitlines()
    return line


def test_one_worker_may_do_what_several_may_not(tmp_path: Path, started: list[Workers]) -> None:
    origin = Origin()
    made = tmp_path / "made.har"
    workers = Workers(tmp_path, "1", *COMMAND, "--mode", f"reverse:{origin.url}", "--set", f"capture_file={made}")
    started.append(workers)
    workers.wait_until(workers.listening, 40, "a worker")
    assert curl(f"http://127.0.0.1:{workers.port}/once").status == 200
    assert workers.stop() == 0
    assert len(json.loads(made.read_text())["log"]["entries"]) == 1
    assert "each worker" not in workers.text
    origin.close()


def test_one_that_cannot_start_again_is_tried_on_while_the_others_go_on(
    tmp_path: Path, started: list[Workers], origin: Callable[..., Origin], free_port: Callable[[], int]
) -> None:
    policies, server, port = tmp_path / "policies.yaml", origin(), free_port()
    rewrite(policies, "cache: off\n")
    command = ("-s", POLICY, "--listen-host", "127.0.0.1", "-p", str(port), "--set", f"policy_file={policies}")
    workers = Workers(tmp_path, "3", *command)
    started.append(workers)
    workers.wait_listening(3)
    rewrite(policies, "cache: drum\n")
    workers.wait_until(lambda: workers.text.count("nothing was applied") == 3, 30, "a refusal each")
    clients = EarlyClients(port, get(server.url))
    for victim in sorted(workers.children())[:2]:  # worker 1 and another
        os.kill(victim, signal.SIGKILL)
    workers.wait_until(lambda: workers.text.count("starting it again in 2 s") == 2, 60, "a second try of both")
    rewrite(policies, "cache: off\n")
    workers.wait_listening(5)
    clients.stop()
    assert len(clients.wrong) <= 6, (
        clients.wrong
    )  # three clients, of whom each kill may cut the connections that are open
    assert clients.answered > 5
    assert workers.stop() == 0


def test_their_port_is_reserved_and_they_end_with_their_supervisor(tmp_path: Path, started: list[Workers]) -> None:
    workers = Workers(tmp_path, "2", *COMMAND)
    started.append(workers)
    workers.wait_listening(2)
    children, port = workers.children(), workers.port
    others = Workers(tmp_path, "2", *COMMAND[:-1], str(port))
    started.append(others)
    assert others.wait_exit() == 1
    assert "address already in use" in others.text.lower()
    workers.process.kill()
    workers.process.wait(10 * PATIENCE)
    workers.wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), 30, "the end of both")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


class Clients:
    """Several at once, each asking for one page after another; what they got is counted, what was wrong is kept."""

    def __init__(self, port: int, pages: dict[str, bytes], count: int = 8) -> None:
        self.statuses: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.cut = 0
        self._port, self._pages = port, pages
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self, number: int) -> None:
        paths = list(self._pages)
        while not self._stopping.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20 * PATIENCE)
            try:
                for path in (*paths[number:], *paths[:number]):
                    self._check(connection, path)
            except (OSError, http.client.HTTPException):
                self.cut += 1
            finally:
                connection.close()

    def _check(self, connection: http.client.HTTPConnection, path: str) -> None:
        connection.request("GET", path)
        answer = connection.getresponse()
        if (answer.status, answer.read()) != (200, self._pages[path]):
            self.wrong.append(f"{path}: {answer.status}")
        self.statuses["hit" if "; hit" in answer.getheader("Cache-Status", "") else "miss"] += 1

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30 * PATIENCE)


def test_a_worker_killed_under_load_comes_back_to_a_whole_cache(tmp_path: Path, started: list[Workers]) -> None:
    origin, pages = Origin(), {f"/page/{number}": os.urandom(1000 * number + 1) for number in range(24)}
    for path, body in pages.items():
        origin.route(path, Answer(headers=[("Cache-Control", "max-age=600")], body=body))
    folder = tmp_path / "cache"
    workers = Workers(tmp_path, "3", *COMMAND, "--mode", f"reverse:{origin.url}", "--set", f"cache=disk:{folder}")
    started.append(workers)
    workers.wait_listening(3)
    clients = Clients(workers.port, pages)
    for number, seen in enumerate((10, 500)):  # while they store, and while they read
        workers.wait_until(lambda seen=seen: clients.statuses.total() > seen, 30, "load")  # type: ignore[misc]
        os.kill(min(workers.children()), signal.SIGKILL)
        workers.wait_listening(4 + number)
    hits = clients.statuses["hit"]
    workers.wait_until(lambda: clients.statuses["hit"] > hits + 100, 30, "hits")
    clients.stop()
    assert clients.wrong == []
    assert clients.cut <= 2 * 8  # what the killed had open, and no more
    assert len(origin.requests) <= 3 * len(pages)  # what one has stored the others need not fetch
    assert workers.text.count("died (SIGKILL), starting it again") == 2
    assert workers.stop() == 0
    assert "Traceback" not in workers.text
    assert stored(folder) == set(pages.values())
    origin.close()


def stored(folder: Path) -> set[bytes]:
    """Return all bodies that a disk cache's index names; the index itself must be sound."""
    index = sqlite3.connect(folder / "index.sqlite")
    assert index.execute("pragma integrity_check").fetchone() == ("ok",)
    ids = [id for (id,) in index.execute("select id from entries")]
    index.close()
    return {verified((folder / "bodies" / id).read_bytes(), id) for id in ids}
