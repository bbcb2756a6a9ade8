"""Stores that fail: one line in the log, no claim in Cache-Status that is not true, and they heal."""

import contextlib
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.cache_stores import REDIS, redis_server, redis_url
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import free_port, wait_until

Start = Callable[..., Mitmdump]
Origins = Callable[..., Origin]

FRESH = [("Cache-Control", "max-age=60"), ("Content-Type", "text/plain")]
CLI = shutil.which("redis-cli") or shutil.which("valkey-cli")
needs_redis = pytest.mark.skipif(REDIS is None or CLI is None, reason="needs redis-server and redis-cli")


class Asking:
    """Asks for pages one after the other."""

    def __init__(self, proxy: Mitmdump, server: Origin, curl: Any) -> None:
        self.proxy, self._curl, self._url = proxy, curl, server.url
        server.route("/", lambda request: Answer(headers=FRESH, body=request.target.encode() * 200))

    def status(self, path: str) -> str:
        result = self._curl("-x", self.proxy.url, f"{self._url}{path}")
        assert (result.status, result.body) == (200, path.encode() * 200)
        return str(result.get("cache-status"))

    def is_kept(self, path: str) -> bool:
        """Ask twice: an answer that claims to be stored is a hit then."""
        first, second = self.status(path), self.status(path)
        assert ("stored" in first) <= ("; hit" in second), (first, second)
        return "; hit" in second

    def heals(self) -> None:
        """Wait until pages are kept again."""
        numbers = iter(range(1000))
        wait_until(lambda: self.is_kept(f"/healed/{next(numbers)}"), 30)


def command(port: int, *words: str) -> str:
    assert CLI
    return subprocess.run([CLI, "-p", str(port), *words], capture_output=True, text=True, check=True).stdout


REFUSALS = {
    "full": (("config", "set", "maxmemory", "1"), ("config", "set", "maxmemory", "0"), "maxmemory"),
    "read-only": (("replicaof", "127.0.0.1", "1"), ("replicaof", "no", "one"), "read only"),
    "password": (
        ("config", "set", "requirepass", "s3cret"),
        ("-a", "s3cret", "config", "set", "requirepass", ""),
        "uth",
    ),
}


@needs_redis
@pytest.mark.parametrize("case", REFUSALS)
def test_redis_that_refuses(case: str, mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path) -> None:
    refuse, permit, word = REFUSALS[case]
    with redis_server(tmp_path) as port:
        command(port, *refuse)
        proxy = mitmdump("--set", f"cache={redis_url(port)}")
        asking = Asking(proxy, origin(), curl)
        assert not any(asking.is_kept(f"/{number}") for number in range(4))
        assert proxy.log().count("cache: ") == 1
        proxy.wait_log(re.escape(word))
        command(port, *permit)
        asking.heals()
        assert proxy.log().count("cache: ") == 2  # that it works
        command(port, *refuse)
        if case == "password":  # who is connected already stays let in
            command(port, "-a", "s3cret", "client", "kill", "type", "normal")
        assert [asking.is_kept(f"/again/{number}") for number in range(4)][1:] == [False] * 3
        assert "Traceback" not in proxy.log()


@needs_redis
def test_a_wrong_password_is_said_and_never_printed(
    mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as port:
        proxy = mitmdump("--set", f"cache={redis_url(port, credentials='me:s3cret-word@')}")
        asking = Asking(proxy, origin(), curl)
        assert not asking.is_kept("/")
        proxy.wait_log("treating every request as a miss")
    proxy.stop()
    assert "s3cret-word" not in proxy.log()
    proxy.wait_log(re.escape(f"cache in {redis_url(port)}"))
    assert "is back" not in proxy.log()


def test_no_error_prints_a_password(mitmdump: Start, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("cache: redis://me:s3cret-word@127.0.0.1:1/x\n")
    for option in ("cache=redis://me:s3cret-word@127.0.0.1:1/x", f"policy_file={file}"):
        proxy = mitmdump("--set", option, wait=False)
        assert proxy.wait_exit(60)
        proxy.wait_log(re.escape("choose off, memory"))
        assert "s3cret-word" not in proxy.log()


@needs_redis
def test_wrong_types_under_our_names_are_removed(mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path) -> None:
    server = origin()
    with redis_server(tmp_path) as port:
        for name in (f"key:{server.url}/a", f"used:{server.url}/b", "purges"):
            command(port, "set", f"proxy-policies:{name}", "something else")
        asking = Asking(mitmdump("--set", f"cache={redis_url(port)}"), server, curl)
        for path in ("/a", "/b", "/c"):
            hits = iter(lambda path=path: "; hit" in asking.status(path), None)  # type: ignore[misc]
            wait_until(hits.__next__, 20)
        assert "Traceback" not in asking.proxy.log()


@needs_redis
def test_redis_that_is_lost_and_found(mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path) -> None:
    port = free_port()
    asking = Asking(mitmdump("--set", f"cache={redis_url(port)}"), origin(), curl)
    assert not any(asking.is_kept(f"/{number}") for number in range(3))
    with redis_server(tmp_path, port):
        asking.heals()
    log = asking.proxy.log()
    assert (log.count("treating every request as a miss"), log.count("is back")) == (1, 1)


def damage_nothing_but_text(folder: Path) -> None:
    (folder / "index.sqlite").write_text("no database at all, " * 500)


def damage_by_holes(folder: Path) -> None:
    for file in folder.glob("index.sqlite*"):
        data = bytearray(file.read_bytes())
        data[100:] = os.urandom(max(len(data) - 100, 0))
        file.write_bytes(bytes(data))


def damage_another_programs(folder: Path) -> None:
    import sqlite3

    with contextlib.closing(sqlite3.connect(folder / "index.sqlite")) as db:
        db.executescript("drop table entries; create table entries (other text)")


DAMAGES = [damage_nothing_but_text, damage_by_holes, damage_another_programs]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_index_is_begun_anew(
    damage: Callable[[Path], None], mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path
) -> None:
    server, folder = origin(), tmp_path / "store"
    first = Asking(mitmdump("--set", f"cache=disk:{folder}"), server, curl)
    assert all(first.is_kept(f"/{number}") for number in range(5))
    first.proxy.stop()
    damage(folder)
    second = Asking(mitmdump("--set", f"cache=disk:{folder}"), server, curl)
    second.heals()
    assert second.proxy.log().count("is damaged, starting with an empty cache") == 1
    assert "Traceback" not in second.proxy.log()
    damage(folder)  # while it is in use
    second.heals()
    assert "Traceback" not in second.proxy.log()
    assert second.proxy.log().count("cache: ") <= 4


@pytest.mark.parametrize("what", ["store", "store/bodies", "store/index.sqlite"])
def test_what_was_removed_is_made_again(what: str, mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path) -> None:
    asking = Asking(mitmdump("--set", f"cache=disk:{tmp_path / 'store'}"), origin(), curl)
    assert asking.is_kept("/before")
    target = tmp_path / what
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    assert asking.is_kept("/after")
    assert asking.is_kept("/before")
    assert asking.proxy.log().count("cache: ") == 1
    assert "Traceback" not in asking.proxy.log()


def test_bodies_that_were_damaged_are_fetched_anew(mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path) -> None:
    server, folder = origin(), tmp_path / "store"
    bodies = {"/small": b"small page", "/part": os.urandom(3_000_000), "/large": os.urandom(3_000_000)}
    for path, body in bodies.items():
        server.route(path, Answer(headers=[("Cache-Control", "max-age=600"), ("ETag", f'"{path}"')], body=body))
    proxy = mitmdump("--set", f"cache=disk:{folder}")

    def ask(path: str, *more: str) -> Any:
        return curl(*more, "-x", proxy.url, f"{server.url}{path}")

    for path, body in bodies.items():
        assert ask(path).body == body
    files: list[Path] = []

    def are_written() -> bool:  # beside the answer, under another name until they are whole
        files[:] = (folder / "bodies").iterdir()
        return len(files) == len(bodies) and not any(".part-" in file.name for file in files)

    wait_until(are_written)
    for file in files:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    assert ask("/small").body == bodies["/small"]
    assert ask("/part", "-r", "1400000-1600000").body == bodies["/part"]  # from the origin, which knows no ranges
    cut = ask("/large")
    assert cut.body != bodies["/large"]
    assert bodies["/large"].startswith(cut.body)
    for path, body in bodies.items():
        wait_until(lambda path=path, body=body: ask(path).body == body)  # type: ignore[misc]
        assert "; hit" in ask(path).get("cache-status")
    proxy.wait_log(re.escape("fetched anew"))
    assert "Traceback" not in proxy.log()


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as folder:
        proxy = mitmdump("--set", f"cache=disk:{folder / 'store'}")
        asking = Asking(proxy, origin(), curl)
        filler = folder / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        assert [asking.is_kept(f"/{number}") for number in range(5)][-1] is False
        assert proxy.log().count("takes nothing") == 1
        filler.unlink()
        asking.heals()
        assert proxy.log().count("stores again") == 1
        assert "Traceback" not in proxy.log()
        proxy.stop()


def test_files_that_may_not_grow(mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path) -> None:
    proxy = mitmdump("--set", f"cache=disk:{tmp_path / 'store'}")
    asking = Asking(proxy, origin(), curl)
    assert asking.is_kept("/before")
    resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    assert not any(asking.is_kept(f"/{number}") for number in range(4))
    resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    asking.heals()
    assert "Traceback" not in proxy.log()
