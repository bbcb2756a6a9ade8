"""Programs that tests need: a missing one skips a test here, and fails it in CI."""

from pathlib import Path

import pytest

from tests.support import programs


def test_a_program_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "curl").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs.need("curl") == str(tmp_path / "curl")


@pytest.mark.parametrize("ci", ["true", "false"])
def test_a_missing_program_skips_and_in_ci_fails(monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setitem(programs.PACKAGES, "no-such-program", "its-package")
    outcome = pytest.fail.Exception if ci == "true" else pytest.skip.Exception
    with pytest.raises(outcome, match=r"needs no-such-program \(Debian package its-package\)"):
        programs.need("no-such-program")
    assert "its-package" in programs.missing_packages()
