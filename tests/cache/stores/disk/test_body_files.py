"""Bodies in files: any range is what was written, what is damaged is not sent, what is not finished leaves nothing."""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cache_cases import stored

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.stores.checksums import BLOCK, Checksums, DamagedBodyError, verified
from proxy_policies.cache.stores.disk import body_files
from proxy_policies.cache.stores.disk.body_files import BodyFile, BodyFileWriter
from proxy_policies.cache.stores.store import Checkpoint

BODY = bytes(range(256)) * (3 * BLOCK // 256) + b"the rest"


class Folder:
    """Takes what is written for a store."""

    def __init__(self, bodies: Path, thread: ThreadPoolExecutor) -> None:
        self.bodies = bodies
        self.is_closed = False
        self._thread = thread
        self.finished: list[bytes] = []
        self.errors: list[Exception | None] = []

    def mended[T](self, work: Callable[[], T]) -> T:
        """Do it."""
        return work()

    def run(self, work: Callable[..., None], *arguments: object) -> Future[None]:
        """Run it in the thread."""
        return self._thread.submit(work, *arguments)

    def commits(self, key: str, commit: Future[None]) -> None:
        """Take no note."""

    def finish(self, temporary: Path, entry: StoredResponse, since: Checkpoint, coding: str) -> None:
        """Read what is complete."""
        self.finished.append(temporary.read_bytes())

    def ended(self, error: Exception | None) -> None:
        """Remember the outcome."""
        self.errors.append(error)


def body_file(folder: Path, damaged: list[OSError], flipped: int | None = None) -> BodyFile:
    sums = Checksums()
    sums.feed(BODY)
    whole = bytearray(BODY + sums.finish("one"))
    if flipped is not None:
        whole[flipped] ^= 1
    (folder / "one").write_bytes(whole)
    return BodyFile(os.open(folder / "one", os.O_RDONLY), "one", len(BODY), damaged.append)


async def read(body: BodyFile, start: int, stop: int) -> bytes:
    return b"".join([piece async for piece in body.chunks(start, stop)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> BodyFile:
    return body_file(tmp_path_factory.mktemp("whole"), [])


@given(st.tuples(*[st.integers(0, len(BODY))] * 2).map(sorted))
def test_any_range_is_what_was_written(whole: BodyFile, ends: list[int]) -> None:
    assert asyncio.run(read(whole, *ends)) == BODY[slice(*ends)]


async def test_a_damaged_block_is_not_sent_and_the_others_are(tmp_path: Path) -> None:
    damaged: list[OSError] = []
    body = body_file(tmp_path, damaged, flipped=BLOCK + 1)
    assert await read(body, 0, BLOCK) == BODY[:BLOCK]
    with pytest.raises(DamagedBodyError):
        await read(body, 0, len(BODY))
    assert len(damaged) == 1


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


@pytest.fixture
def folder(tmp_path: Path, thread: ThreadPoolExecutor) -> Folder:
    return Folder(tmp_path, thread)


@pytest.mark.parametrize("size", [0, 1, BLOCK, len(BODY)])
def test_a_body_is_written_as_it_comes(folder: Folder, thread: ThreadPoolExecutor, size: int) -> None:
    writing = BodyFileWriter(folder, 1, "")
    for at in range(0, size, 5000):
        writing.feed(BODY[at : min(at + 5000, size)])
    writing.commit(stored())
    thread.shutdown()
    assert [verified(file, stored().id) for file in folder.finished] == [BODY[:size]]
    assert folder.errors == [None]


def test_nothing_is_left_of_one_that_was_given_up(folder: Folder, thread: ThreadPoolExecutor) -> None:
    writing = BodyFileWriter(folder, 1, "")
    writing.feed(BODY)
    writing.abort()
    writing.commit(stored())
    thread.shutdown()
    assert (folder.finished, folder.errors, list(folder.bodies.iterdir())) == ([], [], [])


def test_one_that_waits_for_the_disk_for_too_long_is_not_stored(
    folder: Folder, thread: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_files, "MAX_QUEUED", 1000)
    writing = BodyFileWriter(folder, 1, "")
    writing.feed(bytes(2000))
    writing.commit(stored())
    thread.shutdown()
    assert not folder.finished
    assert [str(error) for error in folder.errors] == ["slower than the origin"]
    assert not list(folder.bodies.iterdir())
