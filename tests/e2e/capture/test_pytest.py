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
