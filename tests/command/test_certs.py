"""The command line of `proxy-policies certs`."""

from pathlib import Path

import pytest

from proxy_policies.certificates.authority import KEY_FILE
from proxy_policies.command.main import main
from proxy_policies.reverse_tunnel.certificates import CERT, CertifiedKey, name_of


def test_another_folder(folder: Path, tmp_path: Path) -> None:
    assert main(["certs", "--folder", str(tmp_path / "other"), "make"]) == 0
    assert (tmp_path / "other" / KEY_FILE).exists()
    assert not folder.exists()


def test_tunnel_creates_certificates_in_the_same_folder(folder: Path, tmp_path: Path) -> None:
    assert (
        main(["certs", "tunnel", "home", "paris"]) == main(["certs", "tunnel", "work", "a", str(tmp_path / "w")]) == 0
    )
    assert name_of(CertifiedKey.load(folder / "home").certificate) == "paris"
    assert (tmp_path / "w" / CERT).exists()


def test_an_invalid_name_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certs", "tunnel", "home", "Not a Name"]) == 1
    assert capsys.readouterr().err.startswith("proxy-policies certs: ")
    assert not folder.exists()


@pytest.mark.parametrize("wrong", [["make", "--permit", "a..b"], ["--folder", "", "make"]], ids=" ".join)
def test_an_invalid_domain_or_folder_is_refused(folder: Path, wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["certs", *wrong])
    assert ended.value.code == 2
    assert not folder.exists()
