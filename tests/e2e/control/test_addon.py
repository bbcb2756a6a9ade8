"""The control socket of a real mitmdump."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.mitmdump import ADDONS, Mitmdump
from tests.support.waiting import wait_until
from tests.support.workers import Workers

from proxy_policies.control.client import choose, instances
from proxy_policies.control.messages import ControlError

Start = Callable[..., Mitmdump]


def test_it_is_there_while_the_proxy_runs(mitmdump: Start) -> None:
    proxy = mitmdump()
    (one,) = wait_until(lambda: instances([proxy.confdir]))
    assert one.ports == {proxy.port}
    assert one.path.stat().st_mode & 0o777 == 0o600
    for command in ("nope", "replay.client", "set", "cache.nope", "tunnel.close"):
        with pytest.raises(ControlError):
            one.ask(command)
    proxy.stop()
    assert not one.path.exists()
    assert "Traceback" not in proxy.log()


def test_it_can_be_switched_off_and_a_folder_that_cannot_be_is_no_harm(mitmdump: Start, tmp_path: Path) -> None:
    off = mitmdump("--set", "control_socket=off")
    assert instances([off.confdir]) == []
    (tmp_path / "control").touch()
    proxy = mitmdump(confdir=tmp_path)
    proxy.wait_log("control: no socket in confdir: ")
    assert proxy.stop() == 0


def test_one_that_was_killed_is_not_in_the_way(mitmdump: Start) -> None:
    first = mitmdump()
    wait_until(lambda: instances([first.confdir]))
    os.kill(first.pid, signal.SIGKILL)
    first.wait_exit()
    second = mitmdump(confdir=first.confdir)
    (one,) = wait_until(lambda: instances([first.confdir]))
    assert one.status["pid"] == second.pid
    assert [path.name for path in one.path.parent.iterdir()] == [one.path.name]


def test_workers_are_told_from_each_other(tmp_path: Path) -> None:
    workers = Workers(tmp_path, "2", "-s", str(ADDONS / "policy.py"), "-p", "0")
    try:
        found = workers.wait_until(lambda: len(both := instances([tmp_path])) == 2 and both)
        assert isinstance(found, list)
        assert {one.status["worker"] for one in choose(found, None)} == {1, 2}
    finally:
        workers.stop()
