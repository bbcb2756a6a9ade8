"""The disk store: killed at any moment, shared by processes, bounded, and what is wrong with its files."""

import contextlib
import errno
import hashlib
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.cache_cases import KEY, stored
from tests.support.cache_stores import content, keep, opened

from proxy_policies.cache.stores.disk.index import Index
from proxy_policies.cache.stores.disk.store import DiskStore
from proxy_policies.cache.stores.disk.usage_marker import boot_id
from proxy_policies.cache.stores.serialization import VERSION

ADDONS = Path(__file__).parents[2] / "addons"

WRITER = """
import asyncio, hashlib, os, random, sys, time
from pathlib import Path
from proxy_policies.cache.stores.disk.store import DiskStore
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.fields import Fields

async def main(folder, count):
    store = DiskStore(Path(folder), 1 << 24)
    print("open", flush=True)
    for number in range(count):
        key = f"http://x.test/{random.randrange(40)}"
        body = os.urandom(random.choice([10, 5000, 200_000, 1_500_000]))
        fields = Fields.of(("Cache-Control", "max-age=60"), ("X-Sum", hashlib.sha256(body).hexdigest()))
        entry = StoredResponse(key, 200, "OK", fields, (), time.time(), time.time(), len(body), os.urandom(8).hex())
        writing = store.write(store.checkpoint)
        for at in range(0, len(body), 65536):
            writing.feed(body[at : at + 65536])
        writing.commit(entry)
        for found in await store.lookup(key):
            opened = await store.body(found)
            data = b"".join([piece async for piece in opened.chunks(0, opened.size)]) if opened else None
            if data is not None and hashlib.sha256(data).hexdigest() != found.fields.get("x-sum"):
                print("TORN", flush=True)
    await store.close()
    print("done", flush=True)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def writer(folder: Path, count: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ADDONS)}
    command = [sys.executable, "-c", WRITER, str(folder), str(count)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


async def assert_sound(folder: Path) -> int:
    """Read everything that the index names."""
    async with opened("disk", folder) as store:
        entries = await store.entries()
        for entry in entries:
            data = await content(store, entry)
            assert data is not None
            assert hashlib.sha256(data).hexdigest() == entry.fields.get("x-sum")
        return len(entries)


@pytest.mark.parametrize("kills", [12, pytest.param(150, marks=pytest.mark.deep)])
async def test_killed_at_any_moment_it_serves_no_torn_body(kills: int, tmp_path: Path) -> None:
    chance = random.Random(1)
    for _ in range(kills):
        process = writer(tmp_path, 100_000)
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        time.sleep(chance.uniform(0, 0.3))  # noqa: ASYNC251 -- the moment is what is tried
        process.kill()
        assert "TORN" not in process.communicate()[0]
        await assert_sound(tmp_path)
    assert await assert_sound(tmp_path)
    async with opened("disk", tmp_path) as store:
        await store.counts()  # after the sweep
        ours = {entry.id for entry in await store.entries()}
        left = [file.name for file in (tmp_path / "bodies").iterdir()]
        assert not [name for name in left if ".part-" in name]
        assert ours <= set(left)


async def test_processes_that_begin_at_once_make_one_store(tmp_path: Path) -> None:
    for turn in range(5):
        writers = [writer(tmp_path / str(turn), 1) for _ in range(4)]
        assert {process.communicate(timeout=60)[0] for process in writers} == {"open\ndone\n"}


async def test_several_processes_share_it(tmp_path: Path) -> None:
    writers = [writer(tmp_path, 60) for _ in range(3)]
    for process in writers:
        assert process.communicate(timeout=60)[0] == "open\ndone\n"
    assert await assert_sound(tmp_path)


async def test_what_one_process_purges_the_other_does_not_store(tmp_path: Path) -> None:
    entry = stored("Cache-Control: max-age=60", id="one")
    async with opened("disk", tmp_path) as one, opened("disk", tmp_path) as other:
        writing = one.write(one.checkpoint)
        writing.feed(b"old")
        from proxy_policies.cache.rfc9111.selectors import parse_selector

        await other.purge(parse_selector(entry.key))
        writing.commit(entry.replace(size=3))
        assert not await one.lookup(entry.key)
        await keep(one, entry, b"new")
        await one.lookup(entry.key)
        assert len(await other.lookup(entry.key)) == 1


async def test_it_is_bounded_and_what_was_used_stays(tmp_path: Path) -> None:
    async with opened("disk", tmp_path, limit=100_000) as store:
        for number in range(30):
            await keep(store, stored("X: y", key=f"http://x.test/{number}", id=str(number)), bytes(10_000))
            await store.lookup("")
            if await store.lookup("http://x.test/0"):
                await store.body((await store.lookup("http://x.test/0"))[0])
        counts = await store.counts()
        assert counts.bytes <= 100_000
        assert 5 <= counts.entries <= 7
        assert await store.lookup("http://x.test/0")
        assert len(list((tmp_path / "bodies").iterdir())) == counts.entries


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
async def test_an_index_that_is_truncated_in_use_is_replaced(end: str, tmp_path: Path) -> None:
    """SQLite maps `-shm` into memory: reading beyond its end would kill the process."""
    async with opened("disk", tmp_path) as one, opened("disk", tmp_path) as other:
        for number in range(20):
            await keep(one, stored("Cache-Control: max-age=60", key=f"http://x.test/{number}", id=str(number)), b"body")
        (found,) = await one.lookup("http://x.test/0")
        assert one.sync_view is not None
        assert await content(one, found) == b"body"
        os.truncate(tmp_path / f"index.sqlite{end}", 0)
        one.sync_view.get_all("http://x.test/0")
        for turn, store in enumerate((other, one, other, one)):
            await keep(store, stored("Cache-Control: max-age=60", id=f"after{turn}"), b"after")
            (entry,) = await store.lookup(KEY)
            assert await content(store, entry) == b"after"


@pytest.mark.parametrize("table", ["purge_log", "totals"])
async def test_an_index_without_what_it_always_has_is_replaced(table: str, tmp_path: Path) -> None:
    async with opened("disk", tmp_path) as store:
        await keep(store, stored("Cache-Control: max-age=60", id="before"), b"before")
        with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite")) as other:
            other.execute(f"delete from {table}")
            other.commit()
        assert not await store.lookup(KEY)
        await keep(store, stored("Cache-Control: max-age=60", id="after"), b"after")
        (entry,) = await store.lookup(KEY)
        assert await content(store, entry) == b"after"


@pytest.mark.parametrize("ends", ["commit", "abort"])
async def test_a_body_that_arrives_while_its_store_is_closed_is_not_stored(ends: str, tmp_path: Path) -> None:
    """An option has been changed meanwhile."""
    store = DiskStore(tmp_path, 1 << 20)
    writing, finished = store.write(store.checkpoint), store.write(store.checkpoint)
    writing.feed(b"one")
    finished.feed(b"whole")
    finished.commit(stored("Cache-Control: max-age=60", id="finished", size=5))
    await store.close()
    writing.feed(b"two")
    if ends == "commit":
        writing.commit(stored("Cache-Control: max-age=60", id="late", size=6))
    else:
        writing.abort()
    late = store.write(None, "gzip")
    late.feed(b"three")
    late.abort()
    assert os.listdir(tmp_path / "bodies") == ["finished"]


@pytest.mark.parametrize("damage", ["gone", "fifo", "folder", "short", "long", "changed"])
async def test_a_damaged_body_is_a_miss(damage: str, tmp_path: Path) -> None:
    entry = stored("Cache-Control: max-age=60", id="one")
    async with opened("disk", tmp_path) as store:
        assert isinstance(store, DiskStore)
        await keep(store, entry, b"body")
        (found,) = await store.lookup(entry.key)
        file = store.path("one")
        whole = file.read_bytes()
        file.unlink()
        if damage == "fifo":
            os.mkfifo(file)
        elif damage == "folder":
            file.mkdir()
        elif damage != "gone":
            file.write_bytes({"short": whole[:-1], "long": whole + b"more", "changed": b"B" + whole[1:]}[damage])
        assert await store.body(found) is None
        assert not await store.lookup(entry.key)


async def test_a_large_body_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    entry = stored("Cache-Control: max-age=60", id="one")
    async with opened("disk", tmp_path) as store:
        assert isinstance(store, DiskStore)
        await keep(store, entry, bytes(3_000_000))
        (found,) = await store.lookup(entry.key)
        body = await store.body(found)
        assert body is not None
        os.truncate(store.path("one"), 1_000_000)
        with pytest.raises(OSError, match="damaged"):
            _ = [piece async for piece in body.chunks(0, body.size)]


async def test_a_byte_that_changed_in_a_large_body_is_not_sent_and_the_body_fetched_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry, whole = stored("Cache-Control: max-age=60", id="one"), os.urandom(3_000_000)
    async with opened("disk", tmp_path) as store:
        assert isinstance(store, DiskStore)
        await keep(store, entry, whole)
        (found,) = await store.lookup(entry.key)
        with store.path("one").open("r+b") as file:
            file.seek(2_000_000)
            file.write(bytes([whole[2_000_000] ^ 1]))
        body = await store.body(found)
        assert body is not None
        assert b"".join([piece async for piece in body.chunks(2_100_000, 2_100_010)]) == whole[2_100_000:2_100_010]
        before = b"".join([piece async for piece in body.chunks(10, 1_900_000)])
        assert before == whole[10:1_900_000]
        with pytest.raises(OSError, match="damaged"):
            await anext(aiter(body.chunks(1_999_999, 2_000_001)))
        assert not await store.lookup(entry.key)
        assert "fetched anew" in caplog.text


async def test_a_damaged_encoded_form_is_made_anew(tmp_path: Path) -> None:
    entry = stored("Cache-Control: max-age=60", id="one")
    async with opened("disk", tmp_path) as store:
        assert isinstance(store, DiskStore)
        await keep(store, entry, b"identity")
        await keep(store, entry, b"squeezed", coding="gzip")
        (found,) = await store.lookup(entry.key)
        store.path("one", "gzip").write_bytes(b"squashed" + store.path("one", "gzip").read_bytes()[8:])
        assert await content(store, found, "gzip") is None
        await keep(store, found, b"squeezed", coding="gzip")
        await store.lookup(entry.key)
        assert (await content(store, found), await content(store, found, "gzip")) == (b"identity", b"squeezed")


async def test_without_a_file_handle_left_nothing_is_taken_for_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    async with opened("disk", tmp_path) as store:
        await keep(store, stored("Cache-Control: max-age=60"), b"body")
        (found,) = await store.lookup(KEY)
        with monkeypatch.context() as patched:
            patched.setattr("proxy_policies.cache.stores.disk.store.os.open", none_left)
            with pytest.raises(OSError, match="Too many"):
                await store.body(found)
        assert await content(store, found) == b"body"


async def test_a_full_disk_is_a_body_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    async with opened("disk", tmp_path) as store:
        monkeypatch.setattr("proxy_policies.cache.stores.disk.store.os.write", full)
        await keep(store, stored("Cache-Control: max-age=60"), b"body")
        assert not await store.lookup("http://example.test/")
        assert not list((tmp_path / "bodies").iterdir())


async def test_another_versions_entries_are_not_read(tmp_path: Path) -> None:
    async with opened("disk", tmp_path) as store:
        assert isinstance(store, DiskStore)
        await keep(store, stored("X: y"), b"body")
        await store.lookup("")
        ours, other = f'"version": {VERSION}', '"version": 0'
        store._index._db.execute("update entries set head = replace(head, ?, ?)", (ours, other))
        assert not await store.lookup("http://example.test/")


async def test_a_machine_that_went_down_under_it_leaves_an_empty_store(tmp_path: Path) -> None:
    async with opened("disk", tmp_path) as store:
        await keep(store, stored("Cache-Control: max-age=60"), b"body")
        await store.lookup("")
    assert not [name for name in os.listdir(tmp_path) if name.startswith("in-use-")]
    (tmp_path / "in-use-1").write_text("another boot")
    async with opened("disk", tmp_path) as store:
        assert not await store.entries()
        assert not os.listdir(tmp_path / "bodies")
    async with opened("disk", tmp_path) as store:
        await keep(store, stored("Cache-Control: max-age=60"), b"body")
    (tmp_path / "in-use-999999999").write_text(boot_id())
    async with opened("disk", tmp_path) as store:  # only killed: all is well
        assert len(await store.entries()) == 1


@pytest.mark.parametrize(("ahead", "left"), [(-3600, 1), (3600, 0), (3e7, 0)])
async def test_a_clock_that_was_put_back_meanwhile_leaves_an_empty_store(
    ahead: float, left: int, tmp_path: Path
) -> None:
    """`ahead`: how the clock was, against what it is now, when the store was used last."""
    at = time.time() + ahead
    async with opened("disk", tmp_path) as store:
        assert isinstance(store, DiskStore)
        await keep(store, stored("Cache-Control: max-age=60").replace(requested_at=at, received_at=at), b"body")
        await store.lookup("")
        store._index._db.execute("update entries set used = ?", (at,))
    async with opened("disk", tmp_path) as store:
        assert len(await store.entries()) == len(os.listdir(tmp_path / "bodies")) == left


async def test_a_scan_leaves_what_is_popular(tmp_path: Path) -> None:
    async with opened("disk", tmp_path, limit=600_000) as store:
        for number in range(50):
            await keep(store, stored(key=f"http://x.test/{number}", id=f"popular{number}"), bytes(1000))
        for _ in range(5):
            for number in range(50):
                (entry,) = await store.lookup(f"http://x.test/{number}")
                assert await content(store, entry) == bytes(1000)
        for number in range(500):
            await keep(store, stored(key=f"http://scan.test/{number}", id=f"scanned{number}"), bytes(1000))
        assert (await store.counts()).bytes <= 600_000
        assert sum([len(await store.lookup(f"http://x.test/{number}")) for number in range(50)]) >= 45
        files = {file.name for file in store.bodies.iterdir()}  # type: ignore[attr-defined]
        assert files == {entry.id for entry in await store.entries()}


async def test_what_becomes_popular_takes_a_place(tmp_path: Path) -> None:
    async with opened("disk", tmp_path, limit=600_000) as store:
        for number in range(200):
            await keep(store, stored(key=f"http://scan.test/{number}", id=f"scanned{number}"), bytes(1000))
        for turn in range(4):
            await keep(store, stored(key="http://x.test/", id=f"asked{turn}"), bytes(1000))
        assert len(await store.lookup("http://x.test/")) == 1


async def test_uses_are_noted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[int] = []
    genuine = Index.used

    def used(index: Index, ids: Sequence[tuple[str, float]]) -> None:
        noted.append(len(ids))
        genuine(index, ids)

    monkeypatch.setattr(Index, "used", used)
    async with opened("disk", tmp_path) as store:
        await keep(store, stored("Cache-Control: max-age=60"), b"body")
        (entry,) = await store.lookup(KEY)
        for _ in range(50):
            assert await store.body(entry) is not None
            await store.lookup(KEY)
    assert len(noted) < 10  # each is a transaction that other processes wait for


async def test_it_is_private_and_a_foreign_folder_is_not_changed(tmp_path: Path) -> None:
    shared, own = tmp_path / "shared", tmp_path / "new" / "own"
    shared.mkdir()
    shared.chmod(0o777)
    before = os.umask(0)
    try:
        for folder in (shared, own):
            async with opened("disk", folder) as store:
                await keep(store, stored("Cache-Control: max-age=60"), b"secret")
    finally:
        os.umask(before)
    assert (mode(shared), mode(own)) == (0o777, 0o700)
    made = list(shared.rglob("*"))
    assert {mode(path) for path in made if path.is_dir()} == {0o700}
    assert {mode(path) for path in made if path.is_file()} == {0o600}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
