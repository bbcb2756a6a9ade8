"""Files and folders for their owner only, those that were there before, too."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy_policies.capture.files import private_files
from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Body, Entry, Request, Response, Times

ENTRY = Entry(Request("GET", "http://a.test/"), Response(200, "", (), Body(b"x" * 100)), Times(1))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_folders(tmp_path: Path) -> None:
    private_files.make_folder(tmp_path / "a" / "b" / "c")
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o700] * 3
    (tmp_path / "a").chmod(0o755)
    private_files.make_folder(tmp_path / "a")
    assert mode(tmp_path / "a") == 0o755, "it may hold other things"
    private_files.make_folder(tmp_path / "a", is_ours=True)
    assert mode(tmp_path / "a") == 0o700


def test_a_file_that_was_there_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    for begin in (lambda: path.write_text(""), lambda: path.chmod(0o644)):  # an empty file, and one to go on with
        begin()
        path.chmod(0o664)
        with writer.resume(path, writer.new_log(), bodies_over=10) as capture:
            capture.write(ENTRY)
        assert mode(path) == 0o600
    bodies = tmp_path / "a.har.bodies"
    assert mode(bodies) == 0o700
    (kept,) = bodies.iterdir()
    for part, wide in ((bodies, 0o755), (kept, 0o644)):
        part.chmod(wide)
    with writer.resume(path, writer.new_log(), bodies_over=10) as capture:
        capture.write(ENTRY)
    assert (mode(bodies), mode(kept)) == (0o700, 0o600)
    kept.chmod(0o400)
    private_files.close_to_others(kept)
    assert mode(kept) == 0o400, "rights that it has not stay away"


def test_a_text_is_there_whole_and_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    path.chmod(0o644)
    private_files.write_text(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)
    assert os.listdir(tmp_path) == ["report.json"]


def test_pieces_are_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    def broken() -> Iterator[str]:
        yield "new"
        raise RuntimeError

    private_files.write_pieces(path, ["a\n", "\ud800é"])
    assert (path.read_bytes(), mode(path)) == ("a\n?é".encode(), 0o600)
    with pytest.raises(RuntimeError):
        private_files.write_pieces(path, broken())
    assert path.read_bytes() == "a\n?é".encode()
    assert os.listdir(tmp_path) == ["report.json"]


def test_what_is_no_file_is_neither_closed_to_others_nor_recorded_into(tmp_path: Path) -> None:
    """/dev/null is not one: root would make it unusable for all others."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    private_files.close_to_others(pipe)
    for begin in (writer.resume, writer.create):
        with pytest.raises(OSError, match=r"not a regular file|File exists"):
            begin(pipe, writer.new_log())
    assert (mode(pipe), pipe.is_fifo()) == (0o666, True)
