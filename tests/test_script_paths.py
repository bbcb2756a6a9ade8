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
