"""The certificate authority and its files."""

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import pkcs12
from mitmproxy.certs import CertStore

from proxy_policies.certificates.authority import (
    CERTIFICATE_FILE,
    KEY_FILE,
    LIFETIME,
    SECRET_FILES,
    Authority,
    make_authority,
    name_of,
    problems,
    read_authority,
    read_certificate,
    remove_authority,
    write_authority,
)
from proxy_policies.command.certs_actions import write_bundle

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority("ours", NOW)


@pytest.fixture(scope="module")
def other() -> Authority:
    return make_authority("another", NOW)


def test_it_may_sign_servers_and_nothing_else(authority: Authority) -> None:
    extensions = authority.certificate.extensions
    limits = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [use.dotted_string for use in usage] == ["1.3.6.1.5.5.7.3.1"]
    authority.certificate.verify_directly_issued_by(authority.certificate)


def test_it_survives_its_files(authority: Authority, tmp_path: Path) -> None:
    write_authority(tmp_path / "new", authority)
    read = read_authority(tmp_path / "new")
    assert read.certificate == authority.certificate
    assert read.key.private_numbers() == authority.key.private_numbers()
    assert read.name == "ours"
    assert not list(problems(tmp_path / "new", read, NOW))


def test_mitmproxy_signs_with_it(authority: Authority, tmp_path: Path) -> None:
    write_authority(tmp_path, authority)
    store = CertStore.from_store(tmp_path, "mitmproxy", 2048)
    assert store.default_ca.to_cryptography() == authority.certificate
    leaf = store.get_cert("example.test", [x509.DNSName("example.test")]).cert.to_cryptography()
    leaf.verify_directly_issued_by(authority.certificate)


def test_every_form_holds_the_same_certificate(authority: Authority, tmp_path: Path) -> None:
    write_authority(tmp_path, authority)
    assert (tmp_path / "mitmproxy-ca-cert.cer").read_bytes() == (tmp_path / CERTIFICATE_FILE).read_bytes()
    key, certificate, _ = pkcs12.load_key_and_certificates((tmp_path / "mitmproxy-ca.p12").read_bytes(), None)
    assert key
    assert certificate == authority.certificate
    key, _, certificates = pkcs12.load_key_and_certificates((tmp_path / "mitmproxy-ca-cert.p12").read_bytes(), None)
    assert key is None
    assert certificates == [authority.certificate]


def test_no_public_file_has_the_key(authority: Authority, tmp_path: Path) -> None:
    write_authority(tmp_path, authority)
    for path in tmp_path.iterdir():
        assert (b"PRIVATE KEY" in path.read_bytes()) == (path.name == KEY_FILE)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_secrets_are_their_owners_alone(authority: Authority, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_authority(tmp_path, authority)
    finally:
        os.umask(before)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in SECRET_FILES} == {0o600}


def test_a_secret_that_was_open_to_others_is_replaced_not_rewritten(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("old")
    (tmp_path / KEY_FILE).chmod(0o644)
    with (tmp_path / KEY_FILE).open() as held_open:
        write_authority(tmp_path, authority)
        assert held_open.read() == "old"
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


def open_to_others(folder: Path, _: Authority) -> None:
    (folder / KEY_FILE).chmod(0o640)


def another_certificate(folder: Path, other: Authority) -> None:
    (folder / CERTIFICATE_FILE).write_bytes(other.certificate.public_bytes(serialization.Encoding.PEM))


def no_certificate(folder: Path, _: Authority) -> None:
    (folder / CERTIFICATE_FILE).unlink()


def anothers_key(folder: Path, other: Authority) -> None:
    key = other.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / KEY_FILE).write_bytes(key + (folder / CERTIFICATE_FILE).read_bytes())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (open_to_others, "mitmproxy-ca.pem can be read by others"),
        (another_certificate, "is not what mitmproxy-ca.pem signs with"),
        (no_certificate, "is not what mitmproxy-ca.pem signs with"),
        (anothers_key, "the key in mitmproxy-ca.pem is not the certificate's"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_faults_are_found(
    authority: Authority, other: Authority, tmp_path: Path, damage: Callable[[Path, Authority], None], said: str
) -> None:
    write_authority(tmp_path, authority)
    damage(tmp_path, other)
    ((fault, advice),) = problems(tmp_path, read_authority(tmp_path), NOW)
    assert said in fault
    assert advice


@pytest.mark.parametrize("when", [NOW - timedelta(days=3), NOW + LIFETIME], ids=["early", "late"])
def test_an_authority_out_of_its_time_is_a_fault(authority: Authority, tmp_path: Path, when: datetime) -> None:
    write_authority(tmp_path, authority)
    ((fault, advice),) = problems(tmp_path, authority, when)
    assert fault == "valid from 2025-12-31 to 2035-12-31 only"
    assert ("clock" in advice) == (when < NOW)


EC_KEY, ED25519_KEY = (
    key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for key in (ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate())
)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN nonsense", b"\x00\xff"], ids=repr)
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    for read in (read_authority, read_certificate):
        with pytest.raises(ValueError, match=r"mitmproxy-ca\.pem (is not a key with its|has no) certificate: ") as told:
            read(tmp_path)
        assert "https://" not in str(told.value)


@pytest.mark.parametrize(("key", "is_taken"), [(EC_KEY, True), (ED25519_KEY, False)], ids=["EC", "Ed25519"])
def test_keys_are_of_the_kinds_that_mitmproxy_can_use(
    authority: Authority, tmp_path: Path, key: bytes, is_taken: bool
) -> None:
    (tmp_path / KEY_FILE).write_bytes(key + authority.certificate.public_bytes(serialization.Encoding.PEM))
    with contextlib.nullcontext() if is_taken else pytest.raises(ValueError, match="an RSA or EC key only"):
        read_authority(tmp_path)


def test_an_interrupted_command_changes_nothing(
    authority: Authority, other: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_authority(tmp_path, authority)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for number in range(5):
        written = iter(range(5))

        def interrupt(descriptor: int, mode: int, written: Iterator[int] = written, last: int = number) -> None:
            if next(written) == last:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(os, "fchmod", interrupt)
            with pytest.raises(KeyboardInterrupt):
                write_authority(tmp_path, other)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_was_killed_is_removed_too(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / f".{KEY_FILE}.4711").touch()
    remove_authority(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_certificate_is_enough_for_clients(authority: Authority, tmp_path: Path) -> None:
    write_authority(tmp_path, authority)
    for name in (KEY_FILE, CERTIFICATE_FILE):  # each has it
        (tmp_path / name).rename(tmp_path / "aside")
        assert name_of(read_certificate(tmp_path)) == "ours"
        (tmp_path / "aside").rename(tmp_path / name)


def test_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no certificate authority in"):
        read_authority(tmp_path)


def test_removing_leaves_what_is_not_ours(authority: Authority, tmp_path: Path) -> None:
    write_authority(tmp_path, authority)
    (tmp_path / "README.md").touch()
    remove_authority(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_modes_are_the_same_whatever_the_umask(authority: Authority, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_authority(tmp_path / "new", authority)
        write_bundle(tmp_path / "new")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    for path in (tmp_path / "new").iterdir():
        assert path.stat().st_mode & 0o777 == (0o600 if path.name in SECRET_FILES else 0o644), path


def test_nothing_is_written_through_a_link(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("precious")
    names = [*SECRET_FILES, CERTIFICATE_FILE, "bundle.pem"]
    (tmp_path / "certs").mkdir()
    for name in names:
        (tmp_path / "certs" / name).symlink_to(tmp_path / "elsewhere")
    write_authority(tmp_path / "certs", authority)
    write_bundle(tmp_path / "certs")
    assert (tmp_path / "elsewhere").read_text() == "precious"
    assert not any((tmp_path / "certs" / name).is_symlink() for name in names)
