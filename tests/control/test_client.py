"""Which proxy is meant. What it answers is tested in tests/e2e/control."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy_policies.control import socket_files
from proxy_policies.control.client import Instance, choose, instances
from proxy_policies.control.messages import ControlError


def instance(pid: int, *addresses: str) -> Instance:
    return Instance(Path(f"{pid}.sock"), {"pid": pid, "addresses": list(addresses)})


ONE, OTHER = instance(1, "127.0.0.1:8080"), instance(2, "127.0.0.1:9000", "[::1]:9001")
WORKERS = [instance(pid, "127.0.0.1:8080") for pid in (3, 4)]
HOME, WORK = (
    Instance(Path(f"{pid}.sock"), {"pid": pid, "addresses": [], "tunnel_ends": [end]})
    for pid, end in ((5, "home"), (6, "work"))
)


@pytest.mark.parametrize(
    ("found", "port", "chosen"),
    [
        ([ONE], None, [ONE]),
        ([ONE], 8080, [ONE]),
        ([ONE, OTHER], 9001, [OTHER]),
        (WORKERS, None, WORKERS),
        ([*WORKERS, OTHER], 8080, WORKERS),
        ([HOME], None, [HOME]),
    ],
)
def test_one_or_its_workers_are_meant(found: Sequence[Instance], port: int | None, chosen: list[Instance]) -> None:
    assert choose(found, port) == chosen


@pytest.mark.parametrize(
    ("found", "port", "line"),
    [
        ([], None, "^no proxy with these policies is running"),
        ([], 1, "^no proxy with these policies is running"),
        (
            [ONE, OTHER],
            None,
            "^several are running, select one with --port or --pid: 127.0.0.1:8080 .process 1.; 127.0.0.1:9000",
        ),
        ([ONE], 81, "^no running proxy listens on port 81; there are 127.0.0.1:8080 .process 1.$"),
        ([HOME, WORK], None, "^several are running, .*: home .process 5.; work .process 6.$"),
    ],
)
def test_none_or_several_are_named(found: Sequence[Instance], port: int | None, line: str) -> None:
    with pytest.raises(ControlError, match=line):
        choose(found, port)


def test_what_has_no_port_is_named_by_its_process() -> None:
    assert choose([HOME, WORK], None, 5) == [HOME]
    assert choose(WORKERS, 8080, 4) == WORKERS[1:]
    with pytest.raises(
        ControlError, match=r"^no running proxy is process 9; there are home .process 5.; work .process 6.$"
    ):
        choose([HOME, WORK], None, 9)


def test_the_dead_are_passed_over(tmp_path: Path) -> None:
    path = socket_files.folder_of(tmp_path) / "1.sock"
    socket_files.listen(path).close()
    assert instances([tmp_path, tmp_path / "nowhere"]) == []
    assert not path.exists()
