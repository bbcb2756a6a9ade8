"""The actions of `proxy-policies certs`: output and exit codes, without real clients."""

import json
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
from proxy_policies.certificates.stores import STORES, nss
from proxy_policies.command import certs_actions
from proxy_policies.command.main import main
from proxy_policies.script_paths import own_command


def test_make_creates_a_ca_where_the_proxy_looks_for_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certs", "make"]) == 0
    assert read_authority(folder).name in capsys.readouterr().out
    confdir = folders.own_confdir()
    assert confdir is not None
    assert (confdir / KEY_FILE).samefile(folder / KEY_FILE)


@pytest.mark.parametrize("command", ["env", "trust chromium", "untrust", "verify", "undo"])
def test_without_a_ca_the_error_names_the_command_that_makes_one(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["certs", *command.split()]) == 1
    line = f"proxy-policies certs: no certificate authority in {folder}: {own_command()} certs make makes one\n"
    assert capsys.readouterr().err == line


def test_a_folder_that_cannot_be_written_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write_text("a file")
    assert main(["certs", "make"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("another", [False, True], ids=["ours alone", "another in it"])
def test_a_database_created_for_the_ca_is_removed_with_it(
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


def test_undo_deletes_all_our_files(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["certs", "make"]) == 0
    confdir = folders.own_confdir()
    assert confdir is not None
    (confdir / "mitmproxy-dhparam.pem").touch()  # mitmproxy's
    assert main(["certs", "undo"]) == 0
    assert names_in(folder) == set()


def test_env_prints_commands_of_a_shell(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_an_authority_in_a_store_is_not_replaced(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise the old one could not be removed from the store any more."""
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
def test_a_broken_authority_can_be_replaced_and_undone(folder: Path, broken: bytes) -> None:
    for command in (["make", "--force"], ["undo"]):
        assert main(["certs", "make", "--force"]) == 0
        for path in folder.iterdir():
            path.write_bytes(broken)
        assert main(["certs", *command]) == 0
    assert names_in(folder) == set()


def test_an_expired_authority_is_removed_from_stores_too(
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
def test_commands_for_other_systems_are_printed(
    folder: Path, system: str, trust: str, undo: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["certs", "make"]) == main(["certs", "trust", system]) == main(["certs", "untrust", system]) == 0
    printed = capsys.readouterr().out
    assert str(folder / CERTIFICATE_FILE) in printed
    assert printed.index(trust) < printed.index(undo) < printed.rindex(read_authority(folder).name)


def test_a_store_without_its_program_is_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["certs", "make"])
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(certs_actions, "try_clients", lambda *_: [])
    assert main(["certs", "verify", "fedora"]) == 1
    assert "fail  fedora          cannot be asked: openssl is missing\n" in capsys.readouterr().out


def test_verify_prints_json(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    main(["certs", "make"])
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(certs_actions, "try_clients", lambda *_: [])
    capsys.readouterr()
    assert main(["certs", "verify", "--json"]) == 0
    authority, *stores = json.loads(capsys.readouterr().out)
    assert (authority["level"], authority["text"].split(",")[0]) == ("ok", read_authority(folder).name)
    assert [found["subject"] for found in stores] == list(STORES)
    assert {found["level"] for found in stores} == {"warn"}
