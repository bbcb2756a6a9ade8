"""`proxy-policies certs`: what it says and how it ends, where no client is asked."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.programs import need

from proxy_policies.certificates import folders
from proxy_policies.certificates.authority import (
    CERTIFICATE_FILE,
    KEY_FILE,
    LIFETIME,
    make_authority,
    read_authority,
    write_authority,
)
from proxy_policies.certificates.store_commands import run
from proxy_policies.certificates.stores import nss
from proxy_policies.command import certs
from proxy_policies.command.main import main
from proxy_policies.reverse_tunnel.certificates import CERT, Pair, name_of
from proxy_policies.script_paths import own_command


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder where certificates are."""
    monkeypatch.setattr(folders, "certificates_folder", lambda: tmp_path / "certs")
    return tmp_path / "certs"


def test_a_ca_is_made_where_the_proxy_looks_for_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certs", "make"]) == 0
    assert read_authority(folder).name in capsys.readouterr().out
    confdir = folders.own_confdir()
    assert confdir is not None
    assert (confdir / KEY_FILE).samefile(folder / KEY_FILE)


@pytest.mark.parametrize("command", ["env", "trust chromium", "untrust", "verify", "undo"])
def test_without_a_ca_it_says_what_makes_one(folder: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certs", *command.split()]) == 1
    line = f"proxy-policies certs: no certificate authority in {folder}: {own_command()} certs make makes one\n"
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


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("another", [False, True], ids=["ours alone", "another in it"])
def test_a_database_that_was_made_for_us_goes_with_us(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another: bool
) -> None:
    need("certutil")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert main(["certs", "make"]) == main(["certs", "trust", "chromium"]) == 0
    database = home / ".local/share/pki/nssdb"
    assert main(["certs", "verify", "chromium"]) == 0
    if another:
        write_authority(tmp_path / "another", make_authority("another", datetime.now(UTC)))
        assert run(nss(database, tmp_path / "another" / CERTIFICATE_FILE, "another").trust, False) == 0
    assert main(["certs", "untrust", "chromium"]) == 0
    assert database.exists() == another
    assert main(["certs", "undo"]) == 0


def test_undo_leaves_nothing_of_ours(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["certs", "make"]) == 0
    confdir = folders.own_confdir()
    assert confdir is not None
    (confdir / "mitmproxy-dhparam.pem").touch()  # mitmproxy's
    assert main(["certs", "undo"]) == 0
    assert names_in(folder) == set()


def test_variables_are_for_a_shell_to_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["certs", "make"])
    capsys.readouterr()
    assert main(["certs", "env"]) == main(["certs", "env", "fish"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"export SSL_CERT_FILE={folder}/bundle.pem" in lines
    assert f"set -gx NODE_EXTRA_CA_CERTS {folder}/mitmproxy-ca-cert.pem" in lines


@pytest.mark.parametrize("domain", ["example.com", "*.Example.com", "xn--bcher-kva.example"])
def test_an_authority_may_be_limited_to_domains(folder: Path, domain: str) -> None:
    assert main(["certs", "make", "--permit", domain, "--permit", "other.test"]) == 0
    assert read_authority(folder).permitted == [domain.lower().removeprefix("*."), "other.test"]


@pytest.mark.parametrize("wrong", [["make", "--permit", "a..b"], ["--folder", "", "make"]], ids=" ".join)
def test_what_is_no_domain_and_no_folder_is_refused(folder: Path, wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["certs", *wrong])
    assert ended.value.code == 2
    assert not folder.exists()


def test_an_authority_in_a_store_is_not_replaced(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing would know any more how to take it out."""
    need("certutil")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["certs", "make"]) == main(["certs", "trust", "chromium"]) == 0
    name = read_authority(folder).name
    assert main(["certs", "make", "--force"]) == 1
    assert "is in a store (chromium): " in capsys.readouterr().err
    assert read_authority(folder).name == name
    assert main(["certs", "untrust"]) == main(["certs", "make", "--force"]) == 0
    assert read_authority(folder).name != name


@pytest.mark.parametrize("broken", [b"", b"nonsense"], ids=["empty", "nonsense"])
def test_what_is_broken_can_be_replaced_and_undone(folder: Path, broken: bytes) -> None:
    for command in (["make", "--force"], ["undo"]):
        assert main(["certs", "make", "--force"]) == 0
        for path in folder.iterdir():
            path.write_bytes(broken)
        assert main(["certs", *command]) == 0
    assert names_in(folder) == set()


def test_one_that_has_ended_is_taken_out_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need("certutil")
    monkeypatch.setenv("HOME", str(tmp_path))
    write_authority(folder, make_authority("old", datetime.now(UTC) - 2 * LIFETIME))
    assert main(["certs", "trust", "chromium"]) == main(["certs", "untrust"]) == 0
    assert not (tmp_path / ".local").joinpath("share/pki/nssdb").exists()


@pytest.mark.parametrize(
    ("system", "trust", "undo"),
    [
        ("macos", "security add-trusted-cert", "security delete-certificate"),
        ("windows", "certutil -user -addstore Root", "certutil -user -delstore Root"),
    ],
)
def test_what_to_type_on_other_systems_is_printed(
    folder: Path, system: str, trust: str, undo: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["certs", "make"]) == main(["certs", "trust", system]) == main(["certs", "untrust", system]) == 0
    printed = capsys.readouterr().out
    assert str(folder / CERTIFICATE_FILE) in printed
    assert printed.index(trust) < printed.index(undo) < printed.rindex(read_authority(folder).name)


def test_a_store_that_is_not_of_this_system_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["certs", "make"])
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(certs, "try_clients", lambda *_: [])
    assert main(["certs", "verify", "fedora"]) == 1
    assert "fedora     cannot be asked: openssl is missing\n" in capsys.readouterr().out
