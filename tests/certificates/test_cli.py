"""`proxy-policies certs`: what it says and how it ends, where no client is asked."""

from pathlib import Path

import pytest

from proxy_policies.certificates import folders
from proxy_policies.certificates.authority import KEY_FILE, read_authority
from proxy_policies.command.main import main
from proxy_policies.reverse_tunnel.certificates import CERT, Pair, name_of


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give the folder where certificates are."""
    monkeypatch.setattr(folders, "certificates_folder", lambda: tmp_path / "certs")
    return tmp_path / "certs"


def test_a_ca_is_made_where_the_proxy_looks_for_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certs", "make"]) == 0
    assert read_authority(folder).name in capsys.readouterr().out
    confdir = folders.own_confdir()
    assert confdir is not None
    assert (confdir / KEY_FILE).samefile(folder / KEY_FILE)


@pytest.mark.parametrize("command", ["trust", "verify", "undo"])
def test_without_a_ca_it_says_what_makes_one(folder: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certs", command]) == 1
    line = f"proxy-policies certs: no certificate authority in {folder}: proxy-policies certs make makes one\n"
    assert capsys.readouterr().err == line


def test_a_folder_of_ones_own(folder: Path, tmp_path: Path) -> None:
    assert main(["certs", "--folder", str(tmp_path / "other"), "make"]) == 0
    assert (tmp_path / "other" / KEY_FILE).exists()
    assert not folder.exists()


def test_the_tunnels_certificates_are_made_there_too(folder: Path, tmp_path: Path) -> None:
    assert (
        main(["certs", "tunnel", "home", "paris"]) == main(["certs", "tunnel", "work", "a", str(tmp_path / "w")]) == 0
    )
    assert name_of(Pair.load(folder / "home").certificate) == "paris"
    assert (tmp_path / "w" / CERT).exists()


def test_a_name_that_is_none_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certs", "tunnel", "home", "Not a Name"]) == 1
    assert capsys.readouterr().err.startswith("proxy-policies certs: ")
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write_text("a file")
    assert main(["certs", "make"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
