"""The tunnel's certificates, as they are made."""

import stat
from pathlib import Path

import pytest

from proxy_policies.command.main import main
from proxy_policies.reverse_tunnel import certificates


def test_one_authority_and_keys_for_their_owner_only(tmp_path: Path) -> None:
    home = certificates.make("home", "paris", tmp_path / "home")
    work = certificates.make("work", "office", tmp_path / "work")
    assert (home / "ca.pem").read_bytes() == (work / "ca.pem").read_bytes()
    assert not (work / "ca-key.pem").exists()
    for key in tmp_path.rglob("key.pem"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"home", "work", "tunnel-ca"}


def test_made_again_it_is_renewed(tmp_path: Path) -> None:
    folder = certificates.make("work", "office", tmp_path / "work")
    before = (folder / "cert.pem").read_bytes()
    certificates.make("work", "office", folder)
    assert (folder / "cert.pem").read_bytes() != before
    with pytest.raises(ValueError, match="certificate of office; name another folder for lab"):
        certificates.make("work", "lab", folder)


@pytest.mark.parametrize(("kind", "name"), [("house", "paris"), ("home", "Paris"), ("home", "../x"), ("work", "")])
def test_bad_kinds_and_names(kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        certificates.make(kind, name, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certs", "tunnel", "home", "paris", str(tmp_path / "home")]) == 0
    assert main(["certs", "tunnel", "work", "office", str(tmp_path / "work")]) == 0
    assert "Copy" in capsys.readouterr().out
    assert main(["certs", "tunnel", "work", "lab", str(tmp_path / "work")]) == 1
    assert "proxy-policies certs: " in capsys.readouterr().err
