"""The commands for each trust store, run on stores of the test's own."""

import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.programs import find, need

from proxy_policies.certificates.authority import CERTIFICATE_FILE, make_authority, write_authority
from proxy_policies.certificates.stores import (
    DEBIAN_FOLDER,
    FEDORA_BUNDLE,
    FEDORA_FOLDER,
    STORES,
    StoreCommand,
    chromium_databases,
    debian,
    fedora,
    java,
    nss,
    stores,
)

FEDORAS_UPDATE = """#!/bin/sh
exec trust extract --format=pem-bundle --filter=ca-anchors --overwrite --comment --purpose server-auth {bundle}
"""
"""What Fedora's `update-ca-trust extract` does for the bundle of TLS servers' authorities."""


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    write_authority(tmp_path / "ca", make_authority("ours", datetime.now(UTC)))
    return tmp_path / "ca" / CERTIFICATE_FILE


def run(*commands: StoreCommand) -> int:
    return max(subprocess.run(command, capture_output=True, timeout=60).returncode for command in commands)


@pytest.mark.parametrize("made", [False, True], ids=["no database yet", "a database"])
def test_nss(certificate: Path, tmp_path: Path, made: bool) -> None:
    need("certutil")
    database = tmp_path / "home/.pki/nssdb"
    if made:
        write_authority(tmp_path / "another", make_authority("another", datetime.now(UTC)))
        assert run(*(another := nss(database, tmp_path / "another" / CERTIFICATE_FILE, "another")).trust) == 0
    store = nss(database, certificate, "ours")
    assert run(store.ask) != 0
    assert run(*store.trust) == 0
    assert run(store.ask) == 0
    assert run(*store.undo) == 0
    assert run(store.ask) != 0
    assert not made or run(another.ask) == 0


def test_debian(certificate: Path, tmp_path: Path) -> None:
    """The real update-ca-certificates, on folders of its own."""
    if find("update-ca-certificates") is None:
        pytest.skip("needs Debian's update-ca-certificates")
    local, etc, hooks = (tmp_path / name for name in ("local", "etc", "hooks"))
    for folder in (local, etc, hooks):
        folder.mkdir()
    aside = ("--localcertsdir", str(local), "--etccertsdir", str(etc), "--hooksdir", str(hooks))

    def moved(command: StoreCommand) -> StoreCommand:
        there = tuple(
            word.replace(str(DEBIAN_FOLDER), str(local)).replace("/etc/ssl/certs", str(etc)) for word in command
        )
        return there + (aside if command[0] == "update-ca-certificates" else ())

    store = debian(certificate, "ours")
    assert run(moved(store.ask)) != 0
    assert run(*map(moved, store.trust)) == 0
    assert run(moved(store.ask)) == 0
    assert certificate.read_text() in (etc / "ca-certificates.crt").read_text()
    assert run(*map(moved, store.undo)) == 0
    assert run(moved(store.ask)) != 0
    assert certificate.read_text() not in (etc / "ca-certificates.crt").read_text()
    assert not [path for path in etc.iterdir() if not path.exists()]


def test_fedora(certificate: Path, tmp_path: Path) -> None:
    """The real p11-kit, in a mount namespace where Debian's place for authorities looks as Fedora's."""
    need("trust")
    anchors = Path("/etc/ssl/certs/ca-certificates.crt/anchors")
    bundle, update = tmp_path / "tls-ca-bundle.pem", tmp_path / "update-ca-trust"
    update.write_text(FEDORAS_UPDATE.format(bundle=bundle))
    update.chmod(0o755)
    store = fedora(certificate, "ours")

    def moved(*commands: StoreCommand) -> str:
        line = " && ".join(map(shlex.join, commands))
        line = line.replace(str(FEDORA_FOLDER), str(anchors)).replace(str(FEDORA_BUNDLE), str(bundle))
        return line.replace("update-ca-trust ", f"{update} ")

    script = f"""set -e
        mount -t tmpfs none /etc/ssl/certs
        mkdir -p {anchors}
        {moved(*store.trust)}
        {moved(store.ask)}
        {moved(*store.undo)}
        ! {moved(store.ask)}
        ls {anchors}"""
    done = subprocess.run(
        [need("unshare"), "--mount", "--map-root-user", "sh", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, f"{certificate}: OK\n"), done.stdout + done.stderr


def test_each_authority_has_a_file_of_its_own(certificate: Path) -> None:
    one, another = (debian(certificate, name).trust[0][-1] for name in ("proxy-policies 2026-11-29 df36", "../é/ b"))
    assert one == "/usr/local/share/ca-certificates/proxy-policies-2026-11-29-df36.crt"
    assert another == "/usr/local/share/ca-certificates/é-b.crt"


def test_every_store_has_a_name(certificate: Path, tmp_path: Path) -> None:
    assert tuple(stores(tmp_path, certificate, "ours")) == STORES


def test_each_firefox_profile_is_a_store(certificate: Path, tmp_path: Path) -> None:
    for profile in ("a.default", "b.default-esr"):
        (tmp_path / ".mozilla/firefox" / profile).mkdir(parents=True)
        (tmp_path / ".mozilla/firefox" / profile / "cert9.db").touch()
    (tmp_path / ".mozilla/firefox/Crash Reports").mkdir()
    found = stores(tmp_path, certificate, "ours")
    assert [store.ask[2] for store in found["firefox"]] == [
        f"sql:{tmp_path}/.mozilla/firefox/a.default",
        f"sql:{tmp_path}/.mozilla/firefox/b.default-esr",
    ]
    assert len(found["chromium"]) == len(found["debian"]) == 1


@pytest.mark.parametrize(
    ("there", "looked_at"),
    [
        ((), [".local/share/pki/nssdb"]),
        ((".local/share/pki/nssdb",), [".local/share/pki/nssdb"]),
        ((".pki/nssdb", ".local/share/pki/nssdb"), [".pki/nssdb"]),
        (("snap/chromium/current",), [".local/share/pki/nssdb", "snap/chromium/current/.pki/nssdb"]),
    ],
)
def test_chromium_is_told_where_it_looks(tmp_path: Path, there: tuple[str, ...], looked_at: list[str]) -> None:
    for folder in there:
        (tmp_path / folder).mkdir(parents=True)
    assert chromium_databases(tmp_path) == [tmp_path / folder for folder in looked_at]


def test_java(certificate: Path, tmp_path: Path) -> None:
    """The real keytool, on a store of its own."""
    if find("keytool") is None:
        pytest.skip("needs Java's keytool")

    def moved(command: StoreCommand) -> StoreCommand:
        aside = ("-keystore", str(tmp_path / "cacerts"), "-storetype", "PKCS12")
        return tuple(part for word in command for part in (aside if word == "-cacerts" else (word,)))

    store = java(certificate, "Ours")
    assert run(moved(store.ask)) != 0
    for doing, trusted in ((store.trust, True), (store.undo, False)):
        assert run(*map(moved, doing)) == 0
        assert (run(moved(store.ask)) == 0) == trusted


def test_debians_copy_in_javas_store_has_the_alias_of_its_hook(certificate: Path) -> None:
    (copy,) = debian(certificate, "proxy-policies 2026-11-30 E78F").copies
    assert copy.undo[0][-2:] == ("-alias", "debian:proxy-policies-2026-11-30-e78f.pem")
