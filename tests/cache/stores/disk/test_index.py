"""The index of a disk store."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.cache_cases import KEY, NOW, stored

from proxy_policies.cache.rfc9111.selectors import Selector
from proxy_policies.cache.stores.disk.index import OVERHEAD, DamagedError, Evicted, Index


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path / "index", 10 * (OVERHEAD + 1000))
    yield made
    made.close()


def test_what_is_put_is_found_and_counted(index: Index) -> None:
    entry = stored("X: y", size=100)
    assert index.put(entry, index.checkpoint(), NOW) == (True, [])
    assert index.lookup(KEY) == index.entries() == [entry]
    counts = index.counts()
    assert (counts.entries, counts.bytes) == (1, 100 + OVERHEAD + len(KEY))
    assert index.put_coded(entry.id, "gzip", 40) == (True, [])
    assert index.counts().bytes == counts.bytes + 40
    assert index.remove(entry.id) == [Evicted(entry.id, ("gzip",))]
    assert (index.counts().entries, index.counts().bytes) == (0, 0)
    assert index.put_coded(entry.id, "gzip", 40) == (False, [])


def test_a_purge_beats_what_was_asked_for_before_it(index: Index) -> None:
    before = index.checkpoint()
    assert index.begin_purge(Selector("key", KEY)) == []
    assert index.put(stored("X: y"), before, NOW)[0] is False
    assert index.put(stored("X: y"), index.checkpoint(), NOW)[0] is True
    meant = index.begin_purge(Selector("key", KEY))
    assert index.purge(meant, soft=True) == []
    assert index.lookup(KEY)[0].ttl(NOW) <= 0


def test_an_index_that_was_lost_with_its_purges_stores_nothing_that_was_asked_for_before(tmp_path: Path) -> None:
    checkpoints: set[int] = set()
    for number in range(3):
        index = Index(tmp_path / str(number), 1 << 20)
        for before in checkpoints:
            assert index.put(stored("X: y"), before, NOW)[0] is False
        checkpoints.add(index.checkpoint())
        index.close()


def test_the_limit_holds(index: Index) -> None:
    for number in range(30):
        index.put(stored("X: y", key=f"{KEY}{number}", id=str(number), size=1000), index.checkpoint(), NOW + number)
        assert index.counts().bytes <= index.limit


def test_it_is_shared_by_processes(index: Index, tmp_path: Path) -> None:
    other = Index(tmp_path / "index", index.limit)
    index.put(stored("X: y"), other.checkpoint(), NOW)
    assert len(other.lookup(KEY)) == 1
    other.close()


def test_what_is_no_index_is_damage(tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(b"not a database at all" * 100)
    with pytest.raises(DamagedError):
        Index(tmp_path / "index", 1000)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        Index(tmp_path / "folder", 1000)


def test_records_of_another_version_are_as_good_as_absent(index: Index, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "index") as db:
        db.execute("insert into entries values ('x', ?, '{}', 1, 1)", (KEY,))
    db.close()
    assert index.lookup(KEY) == []


def test_a_process_that_holds_the_index_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process, or a backup: clients wait for what is written before their responses."""
    monkeypatch.setattr("proxy_policies.cache.stores.disk.index.BUSY_TIMEOUT", 0.5)
    index, other = Index(tmp_path / "index", 1 << 20), sqlite3.connect(tmp_path / "index", isolation_level=None)
    other.execute("begin immediate")
    began = time.monotonic()
    for _ in range(60):
        with pytest.raises(sqlite3.OperationalError):
            index.remove("id")
    assert time.monotonic() - began < 20  # 60 waits are 30 s
    other.execute("rollback")
    index.remove("id")
    index.close()
    other.close()
