"""Files that options name."""

import os
from pathlib import Path

import pytest

from proxy_policies.options.files import (
    error_of_input,
    expand_home,
    parse_path,
    parse_path_to_write,
    read_bounded,
    read_text,
)


def test_paths(tmp_path: Path) -> None:
    assert parse_path("") is None
    assert parse_path("a/b") == Path("a/b")
    assert parse_path("~/x") == Path.home() / "x"
    assert parse_path("caf\udce9") == Path("caf\udce9")
    assert parse_path_to_write("") is None
    assert parse_path_to_write(f"{tmp_path}/x") == tmp_path / "x"


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "~nobody-of-this-name/x"])
def test_what_names_no_file(text: str) -> None:
    with pytest.raises(ValueError, match="not a file name"):
        parse_path(text)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none: no such folder"):
        parse_path_to_write(f"{tmp_path}/none/x")


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert error_of_input("/dev/zero") == "not a file"
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a file"):
            read_bounded(path)
    (tmp_path / "large").write_bytes(bytes(1025))
    with pytest.raises(OSError, match="more than 1 KiB"):
        read_bounded(tmp_path / "large", 1024)
    assert len(read_bounded(tmp_path / "large", 1025)) == 1025


def test_a_shells_pipe_is_read_where_it_may_be() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"secret\n")
    os.close(writing)
    assert error_of_input(f"/dev/fd/{reading}") == ""
    assert read_text(Path(f"/dev/fd/{reading}"), allow_pipe=True) == "secret\n"
    os.close(reading)


def test_text(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    for name, said in (("binary", "not UTF-8 text"), ("none", "No such file")):
        with pytest.raises(ValueError, match=f"{name}: {said}"):
            read_text(tmp_path / name)


def test_the_home_folder_of_an_unknown_user_is_not_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand_home("~/x") == tmp_path / "x"
    assert expand_home(Path("~nobody-at-all/x")) == Path("~nobody-at-all/x")
    with pytest.raises(ValueError, match="no such home folder"):
        parse_path("~nobody-at-all/x")
