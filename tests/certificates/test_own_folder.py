"""Where our certificates are, and what has to be typed for others."""

from pathlib import Path

import pytest

from proxy_policies.certificates import own_folder
from proxy_policies.certificates.own_folder import certificates_folder, certs_command, run_command
from proxy_policies.script_paths import own_command

ROOT = Path(__file__).parents[2]


def test_a_clone_keeps_them_in_itself() -> None:
    assert certificates_folder() == ROOT / "certs"


@pytest.mark.parametrize("installed", ["venv/lib/python3.13/site-packages/proxy_policies", "proxy_policies"])
def test_an_installation_keeps_them_with_the_users_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, installed: str
) -> None:
    monkeypatch.setattr(own_folder, "PACKAGE", tmp_path / installed)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert certificates_folder() == tmp_path / "data/proxy-policies/certs"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert certificates_folder() == tmp_path / ".local/share/proxy-policies/certs"


def test_only_another_folder_has_to_be_named() -> None:
    for own in (ROOT / "certs", ROOT / "certs" / "confdir"):
        assert certs_command(own) == f"{own_command()} certs"
        assert run_command(own) == f"{own_command()} run"
    assert certs_command(Path("/var/lib/the proxy")) == f"{own_command()} certs --folder '/var/lib/the proxy'"
    assert run_command(Path("/srv")) == f"{own_command()} run --set confdir=/srv"
