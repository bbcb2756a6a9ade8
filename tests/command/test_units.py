"""`proxy-policies units`."""

import sys
from pathlib import Path

import pytest

from proxy_policies.command.main import main
from proxy_policies.service.units import SERVICES


def test_they_run_this_installation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["units", "--write", str(tmp_path)]) == main(["units"]) == 0
    assert {path.stem for path in tmp_path.glob("*.service")} == set(SERVICES)
    command = Path(sys.executable).with_name("proxy-policies")
    assert f"\nExecStart={command} run " in capsys.readouterr().out


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["units", "--write", str(tmp_path / "nowhere")]) == 1
    assert "No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("prefix", ["/home/ann/python", "/opt/python"])
def test_a_python_that_a_service_cannot_see(
    prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "prefix", "/opt/proxy-policies")
    monkeypatch.setattr(sys, "base_prefix", prefix)
    assert main(["units"]) == 0
    assert ("a service cannot see" in capsys.readouterr().err) == prefix.startswith("/home")
