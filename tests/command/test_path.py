"""`proxy-policies path`."""

import json

import pytest

from proxy_policies.command.main import main
from proxy_policies.script_paths import scripts


def test_it_prints_a_scripts_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["path"]) == main(["path", "cache"]) == 0
    assert capsys.readouterr().out == f"{scripts()['policy']}\n{scripts()['cache']}\n"


def test_it_prints_all_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["path", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {name: str(path) for name, path in scripts().items()}
