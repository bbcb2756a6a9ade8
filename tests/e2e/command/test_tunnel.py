"""`proxy-policies tunnel`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.waiting import free_port

from proxy_policies.command.main import main


def test_it_prints_and_closes_sessions(run: Callable[..., str]) -> None:
    assert run("tunnel", "status") == "no work connected\nno sessions\n"
    assert run("tunnel", "close", "all") == "closed 0\n"


def test_a_session_that_is_not_there_is_an_error(run: Callable[..., str]) -> None:
    for which in ("99", "ssh", "ssh@office", ""):
        said = run("tunnel", "close", which, code=1)
        assert said == f"proxy-policies tunnel: no open session matches {which!r}; tunnel status lists them\n"


@pytest.mark.parametrize("script", ["work.py", "policy.py"])
def test_a_work_says_where_it_is_connected(
    mitmdump: Callable[..., Mitmdump], tmp_path: Path, capsys: Any, script: str
) -> None:
    """Home's view, without any work, was printed for it."""
    port = free_port()
    settings = (f"work_home=127.0.0.1:{port}", "work_tls=none", "work_services=ssh=127.0.0.1:22")
    proxy = mitmdump(*(part for one in settings for part in ("--set", one)), script=script, confdir=tmp_path / "work")
    proxy.wait_log("no connection to home")
    proxy.wait_control()
    assert main(["tunnel", "status", "--confdir", str(proxy.confdir)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"work work: not connected to home 127.0.0.1:{port}: ")
    assert said.endswith("; offers ssh; 0 sessions\n")
    assert main(["tunnel", "status", "--json", "--confdir", str(proxy.confdir)]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert list(one["result"]) == ["work"]


def test_a_proxy_without_a_tunnel_says_so(mitmdump: Callable[..., Mitmdump], tmp_path: Path, capsys: Any) -> None:
    proxy = mitmdump(confdir=tmp_path / "other")
    proxy.wait_control()
    assert main(["tunnel", "status", "--confdir", str(proxy.confdir)]) == 1
    assert "neither home_listen nor work_home is set" in capsys.readouterr().err
