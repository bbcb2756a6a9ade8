"""Which running proxy is meant."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy_policies.command.main import main


def test_a_port_that_none_listens_on(asked: Any, run: Callable[..., str]) -> None:
    there = f"127.0.0.1:{asked.proxy.port}, home (process {asked.proxy.pid})"
    said = run("stats", "--port", "1", code=1)
    assert said == f"proxy-policies stats: no running proxy listens on port 1; there are {there}\n"


def test_a_confdir_where_none_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--confdir", str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.startswith("proxy-policies stats: no proxy with these policies is running")
