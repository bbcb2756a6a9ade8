"""The pytest plugin records on the first run, and replays on later ones, without patching clients."""

import os
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.capture_commands import run_module
from tests.support.mitmdump import environment
from tests.support.origin import Answer, Origin

from proxy_policies.capture.har.reader import open_capture

TESTS = """
import os, urllib.request
import asyncio, aiohttp, httpx, pytest, requests
URL = os.environ["SHOP"]

def test_requests(http_capture):
    assert requests.get(URL + "/a", headers={"Authorization": "Bearer hunter2-Q9xZ"}, timeout=100).text == "answer"

@pytest.mark.http_capture("shared.har", mode="strict")
def test_marked():
    assert httpx.get(URL + "/b", timeout=100).text == "answer"
    assert urllib.request.urlopen(URL + "/c", timeout=100).read() == b"answer"

async def fetched(url):
    async with aiohttp.ClientSession(trust_env=True) as session, session.get(url) as answer:
        return await answer.text()

def test_aiohttp(http_capture):
    assert asyncio.run(fetched(URL + "/e")) == "answer"

def test_extra(http_capture):
    assert requests.get(URL + os.environ.get("EXTRA", "/d"), timeout=100).status_code
"""


UNUSED = [f"-pno:{plugin}" for plugin in ("cacheprovider", "hypothesispytest", "anyio", "timeout")]
"""Importing hypothesis alone takes as long as all else that pytest does here."""


def run(folder: Path, url: str, *arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
    env = environment(SHOP=url, HTTP_CAPTURE_CONFDIR=str(folder / "conf"), **extra)
    return run_module(folder, "pytest", "-q", *UNUSED, *arguments, env=env, timeout=300)


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
    missed = run(tmp_path, server.url, "-k", "extra", EXTRA="/other")
    assert missed.returncode == 1
    assert "the capture does not fit:" in missed.stdout
    assert "nearest is entry 1, which differs in path" in missed.stdout
    assert len(server.requests) == seen
    added = run(tmp_path, server.url, "--http-capture=new", EXTRA="/other")
    assert added.returncode == 0, added.stdout + added.stderr
    assert [request.target for request in server.requests[seen:]] == ["/other"]
    assert run(tmp_path, server.url, "-k", "extra", EXTRA="/other").returncode == 0


NODES = """
import os, pytest, requests, urllib.request
URL = os.environ["SHOP"]

def test_before():
    assert urllib.request.urlopen(URL + "/before").status == 200

def test_default_opener(http_capture):
    assert urllib.request.urlopen(URL + "/opened").status == 200

def test_after():
    assert urllib.request.urlopen(URL + "/after").status == 200

def test_private_ca(http_capture):
    requests.get(os.environ["SECURE"], timeout=100).raise_for_status()

def ask(path):
    answer = requests.get(URL + path, timeout=100)
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

class TestWhole:
    def test_whole(self, http_capture_class):
        ask("/whole")

    def test_that_fails_without_a_capture(self):
        assert os.environ.get("WELL")

def test_that_asks_nothing(http_capture):
    pass

@pytest.mark.http_capture(mdoe="strict")
def test_misspelt():
    ask("/never")
"""


def test_no_two_tests_share_a_capture_and_what_is_wrong_is_said(
    origin: Callable[..., Origin], server_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server = origin()
    server.route("/", lambda request: Answer(body=request.target.encode()))
    (tmp_path / "test_nodes.py").write_text(NODES)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    private = origin(server_tls)
    first = run(tmp_path, server.url, SECURE=f"https://localhost:{private.port}")
    assert "ertificate verify failed" in first.stdout
    assert "http_capture_set = ssl_verify_upstream_trusted_ca=FILE" in first.stdout
    assert "14 passed" in first.stdout, first.stdout + first.stderr
    assert "no request reached the proxy" in first.stdout
    assert "make it in the test" in first.stdout
    assert "http_capture does not take mdoe (mode?); it takes path, mode, record_mode" in first.stdout
    assert "another exception occurred" not in first.stdout
    captures = {path.name: path for path in (tmp_path / "captures").iterdir()}
    assert {"test_nodes.TestA.test_same.har", "test_nodes.TestB.test_same.har", "both.har"} < set(captures)
    assert "test_nodes.TestWhole.har" in captures, "the test that failed does not use it"
    assert len(captures) == 10, "one for each test but those that failed, and one for two that name it"
    assert max(map(len, captures)) < 150
    assert {path.stat().st_mode & 0o777 for path in captures.values()} == {0o600}
    assert (tmp_path / "captures").stat().st_mode & 0o777 == 0o700
    missing = run(tmp_path, server.url, "--http-capture=none", "-k", "fails").stdout
    assert "http_capture: not recorded yet, --http-capture=once records it: " in missing
    assert "During handling" not in missing
    well = run(tmp_path, server.url, "-k", "fails", WELL="1")
    assert well.returncode == 0, well.stdout + "what a failed test recorded is gone, so that it records anew"
    server.close()
    again = run(
        tmp_path,
        server.url,
        "-k",
        "not nothing and not misspelt and not private and not before and not after",
        WELL="1",
    )
    assert again.returncode == 0, again.stdout + again.stderr


SCOPES = """
import asyncio, os, socket, ssl, aiohttp, httpx, pytest, requests
HTTP, HTTPS, TRUST = os.environ["SHOP"], os.environ["SHOPS"], [os.environ["TRUST"]]

def ask(path):
    assert requests.get(HTTP + path, timeout=100).text == path

@pytest.fixture(scope="session")
def http_capture_config():
    return {"set": TRUST}

class TestClass:
    def test_one(self, http_capture_class):
        ask("/one")

    def test_two(self, http_capture_class):
        ask("/two")

@pytest.mark.http_capture
async def test_async_clients(http_capture):
    async with httpx.AsyncClient(timeout=100) as client:
        answers = await asyncio.gather(*(client.get(HTTPS + f"/{n}") for n in range(3)))
        assert [answer.text for answer in answers] == ["/0", "/1", "/2"]
    trust = ssl.create_default_context(cafile=http_capture.ca)
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(HTTPS + "/aio", ssl=trust) as answer:
            assert await answer.text() == "/aio"

def test_other_hosts_are_refused():
    for connect in (lambda: socket.create_connection(("192.0.2.1", 80), 1), lambda: requests.get("http://shop.test")):
        with pytest.raises(RuntimeError, match="block_network: this test may not connect to"):
            connect()

async def test_other_hosts_are_refused_to_async_clients():
    async with httpx.AsyncClient() as client:
        with pytest.raises(RuntimeError, match="block_network"):
            await client.get("http://shop.test/")
    async with aiohttp.ClientSession() as session:
        with pytest.raises(RuntimeError, match="block_network"):
            await session.get("http://192.0.2.1/")

@pytest.mark.block_network(allowed_hosts=["192[.]0[.]2[.]1"])
def test_an_allowed_host():
    with pytest.raises(OSError):
        socket.create_connection(("192.0.2.1", 80), 0.01)

@pytest.mark.block_network(allowed_host=["x"])
def test_misspelt():
    pass

def test_kept(http_capture):
    ask("/kept")
    assert os.environ.get("WELL")
"""
MODULE = """
import os, pytest, requests

@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_module(name, http_capture_module):
    assert requests.get(os.environ["SHOP"] + "/" + name, timeout=100).text == "/" + name
"""
SHARED = """
import os, pytest, requests

@pytest.mark.http_capture("shared.har")
@pytest.mark.parametrize("number", range(8))
def test_shared(number):
    assert requests.get(os.environ["SHOP"] + f"/{number}", timeout=100).text == f"/{number}"
"""
INI = """[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
http_capture_record_mode = once
http_capture_folder = cassettes
http_capture_record_on_exception = true
http_capture_block_network = true
"""


def test_scopes_async_clients_ini_and_the_network(
    origin: Callable[..., Origin], server_tls: ssl.SSLContext, ca_file: Path, tmp_path: Path
) -> None:
    servers = origin(), origin(server_tls)
    for server in servers:
        server.route("/", lambda request: Answer(body=request.target.encode()))
    extra = {"SHOPS": f"https://localhost:{servers[1].port}", "TRUST": f"ssl_verify_upstream_trusted_ca={ca_file}"}
    (tmp_path / "test_scopes.py").write_text(SCOPES)
    (tmp_path / "test_module.py").write_text(MODULE)
    (tmp_path / "pytest.ini").write_text(INI)
    first = run(tmp_path, servers[0].url, **extra)
    assert "9 passed" in first.stdout, first.stdout + first.stderr
    assert "1 failed" in first.stdout
    assert "block_network does not take allowed_host (allowed_hosts?)" in first.stdout
    assert "another exception occurred" not in first.stdout
    assert sorted(os.listdir(tmp_path / "cassettes")) == [
        "test_module.har",
        "test_scopes.TestClass.har",
        "test_scopes.test_async_clients.har",
        "test_scopes.test_kept.har",
    ]
    for server in servers:
        server.close()
    again = run(tmp_path, servers[0].url, "--http-capture=none", "-k", "not misspelt", WELL="1", **extra)
    assert again.returncode == 0, again.stdout + again.stderr


def test_workers_never_write_one_file_together(origin: Callable[..., Origin], tmp_path: Path) -> None:
    server = origin()
    server.route("/", lambda request: Answer(body=request.target.encode()))
    (tmp_path / "test_shared.py").write_text(SHARED)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    first = run(tmp_path, server.url, "-n", "2", "--dist", "load")
    assert "8 passed" in first.stdout, first.stdout + first.stderr
    urls = [entry.request.url.rpartition("/")[2] for entry in open_capture(tmp_path / "captures" / "shared.har")]
    assert sorted(urls) == [str(number) for number in range(8)]
    server.close()
    again = run(tmp_path, server.url, "-n", "2")
    assert "8 passed" in again.stdout, again.stdout + again.stderr


WRONG = {
    "record mode": ("[pytest]\nhttp_capture_record_mode = onec\n", "http_capture_record_mode is not 'onec' (once?)"),
    "host": ("[pytest]\nhttp_capture_allowed_hosts = (\n", "http_capture_allowed_hosts: '(' is not a valid regular"),
}


@pytest.mark.parametrize(("ini", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_ini_option_is_said_in_one_line(ini: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(ini)
    done = run(tmp_path, "")
    assert done.returncode == 4
    assert said in done.stderr
    assert "Traceback" not in done.stderr
