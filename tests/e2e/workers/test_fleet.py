"""scripts/fleet: proxies behind HAProxy that share Redis; no response is lost if one dies under load."""

import os
import re
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import ADDONS, Running
from tests.support.origin import Answer, Origin
from tests.support.programs import need
from tests.support.waiting import wait_until

FLEET = ADDONS.parent / "scripts" / "fleet"
StartFleet = Callable[..., Running]
pytestmark = pytest.mark.xdist_group("workers")
CLIENTS = 6


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[StartFleet]:
    """Start a fleet on a free port."""
    need("haproxy")
    need("redis-server")
    started: list[Running] = []

    def start(*arguments: str, wait: bool = True) -> Running:
        running = Running([str(FLEET), "--port", "0", "--set", f"confdir={tmp_path}", *arguments])
        started.append(running)
        if wait:
            running.port = int(running.wait_log(r"fleet: listening on http://127\.0\.0\.1:(\d+)", timeout=60)[1])
        return running

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def pages(origin: Callable[..., Origin]) -> Origin:
    server = origin()
    server.route("/", lambda request: Answer(200, [("Cache-Control", "max-age=2")], request.target.encode() * 50))
    return server


def pid_of(fleet: Running, member: str) -> int:
    return int(fleet.wait_log(rf"fleet: {member} on \S+, pid (\d+)")[1])


class Load:
    """Clients that ask for pages all the time, and count what came of it."""

    def __init__(self, url: str) -> None:
        self.answers, self.failures = 0, list[str]()
        self._url, self._over = url, threading.Event()
        self._clients = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for client in self._clients:
            client.join(100)

    def _ask(self, client: int) -> None:
        number = 0
        while not self._over.is_set():
            number = (number + 1) % 40
            target = f"/{client}/{number}"
            try:
                with urllib.request.urlopen(self._url + target, timeout=100) as answer:
                    assert answer.read() == target.encode() * 50
                self.answers += 1
            except (OSError, AssertionError, urllib.error.URLError) as error:
                self.failures.append(repr(error))

    def goes_on(self, count: int = 150) -> None:
        """Wait until so many more answers have come."""
        goal = self.answers + count
        wait_until(lambda: self.answers >= goal, 60, f"{count} more answers ({self.failures})")


def test_no_response_is_lost_if_a_process_dies_under_load(fleet: StartFleet, pages: Origin) -> None:
    running = fleet("--proxies", "3", "--mode", f"reverse:{pages.url}")
    with Load(running.url) as load:
        load.goes_on()
        assert not load.failures
        os.kill(pid_of(running, "proxy 2"), signal.SIGKILL)
        running.wait_log("fleet: proxy 2 died")
        load.goes_on()
        os.kill(pid_of(running, "redis"), signal.SIGKILL)
        running.wait_log("fleet: redis died")
        load.goes_on()
        assert len(load.failures) <= CLIENTS, load.failures  # the connections that were cut, at the most
    proxies = set(re.findall(r"(proxy \d): .* GET ", running.log()))
    assert len(proxies) == 3, "URLs are spread"
    assert running.stop(signal.SIGINT) == 0


def test_proxies_share_the_cache_and_know_their_clients(fleet: StartFleet, pages: Origin, curl: Any) -> None:
    pages.route("/long", Answer(200, [("Cache-Control", "max-age=60")], b"x" * 3000))
    running = fleet("--proxies", "2", "--mode", f"reverse:{pages.url}")
    assert "stored" in curl(f"{running.url}/long").get("cache-status")
    assert "hit" in curl(f"{running.url}/long").get("cache-status")
    first = running.wait_log(r"proxy (\d): .*GET ")[1]  # the proxy that had the URL
    os.kill(pid_of(running, f"proxy {first}"), signal.SIGKILL)
    running.wait_log(f"fleet: proxy {first} died")
    assert "hit" in curl(f"{running.url}/long").get("cache-status")
    assert len(pages.requests) == 1
    assert pages.requests[0].get("x-forwarded-for") == "127.0.0.1"


def test_forward_proxies(fleet: StartFleet, pages: Origin, curl: Any) -> None:
    running = fleet("--proxies", "2")
    assert curl("-x", running.url, f"{pages.url}/a").body == b"/a" * 50
    assert curl("-x", running.url, "-p", f"{pages.url}/b").body == b"/b" * 50


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--proxies", "0"), "write --proxies 1 to 64"),
        (("--mode", "nonsense"), "fleet: proxy 1 ended with exit code 1"),
        (("--set", "cache_siz=3"), "proxy 1: [^\n]*did you mean 'cache_size'"),
        (("--certs", "nowhere.pem"), "proxy 1: [^\n]*nowhere.pem"),
    ],
    ids=str,
)
def test_a_first_start_that_fails_ends_the_fleet(fleet: StartFleet, arguments: tuple[str, ...], said: str) -> None:
    running = fleet(*arguments, wait=False)
    assert running.wait_exit(40) in (1, 2)
    assert re.search(said, running.log()), running.log()
    assert not re.search("Traceback|starting it again|proxy . on |listening", running.log())


def test_answers_in_flight_are_finished(fleet: StartFleet, pages: Origin, curl: Any) -> None:
    begun = threading.Event()

    def slow(_: object) -> Answer:
        begun.set()
        time.sleep(2)
        return Answer(body=b"late, but whole")

    pages.route("/slow", slow)
    running = fleet("--proxies", "1", "--mode", f"reverse:{pages.url}")
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(curl(f"{running.url}/slow").body))
    client.start()
    assert begun.wait(100)
    assert running.stop() == 0
    client.join(100)
    assert answers == [b"late, but whole"]
