"""Where the scripts for mitmproxy are."""

from pathlib import Path

import pytest

from proxy_policies import script_paths
from tests.support.mitmdump import ADDONS


def test_a_clone_has_them_beside_the_package() -> None:
    found = script_paths.scripts()
    assert found["policy"] == ADDONS / "policy.py"
    assert set(found) == {path.stem for path in ADDONS.glob("*.py")}


def test_an_installation_has_them_inside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/policy.py").touch()
    monkeypatch.setattr(script_paths, "PACKAGE", tmp_path)
    assert script_paths.scripts() == {"policy": tmp_path / "scripts/policy.py"}


@pytest.fixture
def clone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    root = tmp_path / "a clone"
    for path in (root / "scripts/proxy-policies", root / ".venv/bin/proxy-policies"):
        path.parent.mkdir(parents=True)
        path.touch(0o755)
    monkeypatch.setattr(script_paths, "PACKAGE", root / "addons/proxy_policies")
    monkeypatch.setenv("PATH", "/nowhere")
    return root


def test_in_a_clone_the_command_is_its_script(clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(clone)
    assert script_paths.own_command() == "scripts/proxy-policies"
    monkeypatch.chdir(clone / "scripts")
    assert script_paths.own_command() == "./proxy-policies"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert script_paths.own_command() == f"'{clone}/scripts/proxy-policies'"
    (tmp_path / "elsewhere").rmdir()
    assert script_paths.own_command() == f"'{clone}/scripts/proxy-policies'"


def test_what_is_on_the_path_is_ours_only_if_it_is_of_this_clone(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(clone)
    monkeypatch.setenv("PATH", str(clone / ".venv/bin"))
    assert script_paths.own_command() == "proxy-policies"
    (tmp_path / "proxy-policies").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert script_paths.own_command() == "scripts/proxy-policies"


def test_an_installation_that_is_not_on_the_path_is_named_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(script_paths, "PACKAGE", tmp_path / "lib/python3.13/site-packages/proxy_policies")
    monkeypatch.setattr("sys.executable", "/opt/proxy-policies/bin/python")
    monkeypatch.setenv("PATH", "/nowhere")
    assert script_paths.own_command() == "/opt/proxy-policies/bin/proxy-policies"
    (tmp_path / "proxy-policies").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert script_paths.own_command() == "proxy-policies"
