"""When a file that changes has settled."""

import os
from pathlib import Path

from proxy_policies.policy_file.watch import FileState, Unreadable, Watch, read_state


def test_a_change_counts_once_it_stands_still() -> None:
    watch = Watch("old")
    states = ["old", "new, half", "new, whole", "new, whole", "new, whole"]
    assert [watch.is_stable_change(state) for state in states] == [False, False, False, True, False]
    assert watch.state == "new, whole"


def test_a_moments_emptiness_is_no_change() -> None:
    watch = Watch("old")
    assert not any(watch.is_stable_change(state) for state in ["", "old", "old", "", "old"])


def test_gone_and_back() -> None:
    gone = Unreadable("No such file or directory")
    watch = Watch("old")
    states: list[FileState] = [gone, gone, gone, "old", "old"]
    assert [watch.is_stable_change(state) for state in states] == [False, True, False, False, True]


def test_a_look_never_raises(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    assert read_state(tmp_path / "none") == Unreadable("No such file or directory")
    assert read_state(tmp_path) == Unreadable("Is a directory")
    assert read_state(binary) == Unreadable("not UTF-8 text")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_state(tmp_path / "pipe") == Unreadable("not a file")
    assert read_state(Path("/dev/zero")) == Unreadable("not a file")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(3 << 20))
    assert read_state(tmp_path / "large") == Unreadable("more than 1024 KiB")
