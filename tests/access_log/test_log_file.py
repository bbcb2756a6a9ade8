"""Lines are appended by a thread, which delays no request, counts lines it cannot write, and never tears a line."""

import errno
import os
import resource
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.support.waiting import wait_until

from proxy_policies.access_log import log_file as writers
from proxy_policies.access_log.log_file import STANDARD_OUTPUT, LineWriter, open_log, write_all


def test_a_new_file_is_its_owners_and_one_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_text("before\n")
    old.chmod(0o644)
    for path in (new, old):
        opened = open_log(str(path))
        assert write_all(opened, b"line\n") == (5, "")
        os.close(opened)
    assert (new.stat().st_mode & 0o777, new.read_text()) == (0o600, "line\n")
    assert (old.stat().st_mode & 0o777, old.read_text()) == (0o644, "before\nline\n")


def test_standard_output_stays_open(capfd: pytest.CaptureFixture[str]) -> None:
    opened = open_log(STANDARD_OUTPUT)
    write_all(opened, b"line\n")
    os.close(opened)
    assert capfd.readouterr().out == "line\n"
    os.fstat(1)


def test_no_reader_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, why in (("", "Is a directory"), ("missing/file", "No such file"), ("pipe", "a pipe without a reader")):
        with pytest.raises(OSError, match=why):
            open_log(str(tmp_path / path))


def test_what_was_written_before_an_error_is_known() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    assert write_all(writer, b"line\n") == (0, os.strerror(errno.EPIPE))
    os.close(writer)


Start = Callable[[int], LineWriter[int]]


def written(numbers: Sequence[int]) -> bytes:
    return b"".join(b"line %d\n" % number for number in numbers)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def start(said: list[str]) -> Iterator[Start]:
    started: list[LineWriter[int]] = []

    def start(opened: int) -> LineWriter[int]:
        made: LineWriter[int] = LineWriter(opened, written, said.append)
        started.append(made)
        made.start()
        return made

    yield start
    for each in started:
        each.close(60)


def test_every_line_is_written_in_order(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = start(open_log(str(path)))
    writer.put(range(5000))
    writer.close(60)
    assert path.read_text().split("\n") == [*(f"line {number}" for number in range(5000)), ""]
    assert (writer.processed, writer.lost) == (5000, 0)


def test_lines_go_on_in_the_file_that_is_opened_again(start: Start, tmp_path: Path, said: list[str]) -> None:
    path, moved = tmp_path / "log", tmp_path / "log.1"
    writer = start(open_log(str(path)))
    writer.put([1])
    wait_until(lambda: writer.processed == 1)
    path.rename(moved)
    writer.reopen(lambda: open_log(str(path)))
    wait_until(path.exists)
    writer.put([2])
    wait_until(lambda: writer.processed == 2)
    writer.reopen(lambda: open_log(str(tmp_path)))
    wait_until(lambda: said)
    writer.put([3])
    writer.close(60)
    assert (moved.read_text(), path.read_text()) == ("line 1\n", "line 2\nline 3\n")
    assert said == ["still writing to the previous file: Is a directory"]


def test_a_hanging_reader_delays_no_request_and_lost_lines_are_reported(
    start: Start, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "MAX_QUEUED", 100)
    reader, pipe = os.pipe()
    os.set_blocking(pipe, False)
    filled = 0
    while True:
        try:
            filled += os.write(pipe, bytes(4096))
        except BlockingIOError:
            break
    os.set_blocking(pipe, True)
    writer = start(pipe)
    writer.put(range(100 + writers.BATCH_SIZE + 50))
    assert writer.lost >= 50
    taken = b""

    def take() -> None:
        nonlocal taken
        while piece := os.read(reader, 65536):
            taken += piece

    taking = threading.Thread(target=take)
    taking.start()
    writer.close(60)
    taking.join(60)
    os.close(reader)
    lines = taken[filled:].decode().splitlines()
    assert len(lines) == writer.processed
    assert writer.processed + writer.lost == 100 + writers.BATCH_SIZE + 50
    assert sum(int(text.split()[0]) for text in said) == writer.lost
    assert all("lost: the queue is full" in text for text in said)


def test_a_full_disk_tears_no_line(start: Start, said: list[str], tmp_path: Path) -> None:
    """The file may have no more than some bytes, then again more: as on a disk on which there is room again."""
    path = tmp_path / "log"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = start(open_log(str(path)))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # Python ignores SIGXFSZ
        writer.put(range(3))
        wait_until(lambda: writer.lost == 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.put([7])
    writer.close(60)
    assert path.read_text() == "line 0\nlin\nline 7\n"
    assert (writer.processed, writer.lost) == (2, 2)
    assert said == ["2 lines lost: File too large"]


def test_a_writer_that_hangs_does_not_keep_its_end_up() -> None:
    reader, pipe = os.pipe()
    made: LineWriter[int] = LineWriter(pipe, lambda numbers: b"x" * 1_000_000, lambda text: None)
    made.start()
    made.put([1])
    made.close(0.2)
    os.read(reader, 65536)
    os.close(reader)
