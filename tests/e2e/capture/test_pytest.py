"""The pytest plugin: recorded on the first run, replayed ever after, with clients that nobody patched."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.mitmdump import environment
from tests.support.origin import Answer, Origin

TESTS = """
import os, urllib.request
import asyncio, aiohttp, httpx, pytest, requests
URL = os.environ["SHOP"]

def test_requests(http_capture):
    assert requests.get(URL + "/a", headers={"Authorization": "Bearer hunter2-Q9xZ"}, timeout=20).text == "answer"

@pytest.mark.http_capture("shared.har", mode="strict")
def test_marked():
    assert httpx.get(URL + "/b", timeout=20).text == "answer"
    assert urllib.request.urlopen(URL + "/c", timeout=20).read() == b"answer"

async def fetched(url):
    async with aiohttp.ClientSession(trust_env=True) as session, session.get(url) as answer:
        return await answer.text()

def test_aiohttp(http_capture):
    assert asyncio.run(fetched(URL + "/e")) == "answer"

def test_extra(http_capture):
    assert requests.get(URL + os.environ.get("EXTRA", "/d"), timeout=20).status_code
"""


def run(folder: Path, url: str, *arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    env = environment(SHOP=url, HTTP_CAPTURE_CONFDIR=str(folder / "conf"), **extra)
    return subprocess.run([*command, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=90)


def test_recorded_once_then_replayed_offline(origin: Callable[..., Origin], tmp_path: Path) -> None:
    server = origin()
    server.route("/", Answer(body=b"answer"))
    (tmp_path / "test_shop.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    first = run(tmp_path, server.url)
    assert first.returncode == 0, first.stdout + first.stderr
    assert sorted(os.listdir(tmp_path / "captures")) == [
        "shared.har",
        "test_shop.test_aiohttp.har",
        "test_shop.test_extra.har",
        "test_shop.test_requests.har",
    ]
    assert "hunter2" not in "".join(path.read_text() for path in (tmp_path / "captures").iterdir())
    seen = len(server.requests)
    again = run(tmp_path, server.url)
    assert again.returncode == 0, again.stdout + again.stderr
    missed = run(tmp_path, server.url, EXTRA="/other")
    assert missed.returncode == 1
    assert "the capture does not fit:" in missed.stdout
    assert "nearest is entry 1, which differs in path" in missed.stdout
    assert len(server.requests) == seen
    added = run(tmp_path, server.url, "--http-capture=new", EXTRA="/other")
    assert added.returncode == 0, added.stdout + added.stderr
    assert [request.target for request in server.requests[seen:]] == ["/other"]
    assert run(tmp_path, server.url, EXTRA="/other").returncode == 0


NODES = """
import os, pytest, requests
URL = os.environ["SHOP"]

def ask(path):
    answer = requests.get(URL + path, timeout=20)
    assert answer.text == path
    return answer

class TestA:
    def test_same(self, http_capture):
        ask("/a")

class TestB:
    def test_same(self, http_capture):
        ask("/b")

@pytest.mark.parametrize("name", ["a/b", "a b", "a_b", "x" * 300, "\u00e4"])
def test_each(name, http_capture):
    ask("/" + str(len(name)))

@pytest.mark.http_capture("both.har")
def test_first():
    ask("/first")

@pytest.mark.http_capture("both.har")
def test_second():
    ask("/second")

def test_that_fails(http_capture):
    ask("/half")
    assert os.environ.get("WELL")

def test_that_asks_nothing(http_capture):
    pass

@pytest.mark.http_capture(mdoe="strict")
def test_misspelt():
    ask("/never")
"""


def test_no_two_tests_share_a_capture_and_what_is_wrong_is_said(origin: Callable[..., Origin], tmp_path: Path) -> None:
    server = origin()
    server.route("/", lambda request: Answer(body=request.target.encode()))
    (tmp_path / "test_nodes.py").write_text(NODES)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    first = run(tmp_path, server.url)
    assert "10 passed" in first.stdout, first.stdout + first.stderr
    assert "nothing came through the proxy" in first.stdout
    assert "make it in the test" in first.stdout
    assert "http_capture does not take mdoe; it takes path, mode, ignore" in first.stdout
    captures = {path.name: path for path in (tmp_path / "captures").iterdir()}
    assert {"test_nodes.TestA.test_same.har", "test_nodes.TestB.test_same.har", "both.har"} < set(captures)
    assert len(captures) == 8, "one for each test but those that failed, and one for two that name it"
    assert max(map(len, captures)) < 150
    assert {path.stat().st_mode & 0o777 for path in captures.values()} == {0o600}
    assert (tmp_path / "captures").stat().st_mode & 0o777 == 0o700
    well = run(tmp_path, server.url, "-k", "fails", WELL="1")
    assert well.returncode == 0, well.stdout + "what a failed test recorded is gone, so that it records anew"
    server.close()
    again = run(tmp_path, server.url, "-k", "not nothing and not misspelt", WELL="1")
    assert again.returncode == 0, again.stdout + again.stderr
