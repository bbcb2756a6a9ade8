"""Files that lines are appended to."""

import errno
import os
from pathlib import Path

import pytest

from proxy_policies.access_log.log_file import STANDARD_OUTPUT, open_log, write_all


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
