"""CAs that mitmproxy cannot sign with, and CAs to trust that it cannot load."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import PrivateFormat
from mitmproxy import exceptions
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.certs import CertStore
from mitmproxy.test import taddons

from proxy_policies.certificates.authority import DH_FILE, KEY_FILE, make_authority, write_authority
from proxy_policies.certificates.option_checks import FILE, FOLDER, ConfdirCheck, TlsOptionsCheck

AUTHORITY = make_authority("ours", datetime(2026, 1, 1, tzinfo=UTC))
CERTIFICATE = AUTHORITY.certificate.public_bytes(serialization.Encoding.PEM)


def refusal(confdir: Path, passphrase: str | None = None) -> str:
    """Start with a confdir and a passphrase; return what is said against it, or nothing."""
    check = ConfdirCheck()
    with taddons.context() as context:
        context.options.update(confdir=str(confdir), cert_passphrase=passphrase)
        try:
            check.configure({"confdir"})
        except exceptions.OptionsError as error:
            return str(error)
    return ""


def key(format: PrivateFormat = PrivateFormat.PKCS8, passphrase: bytes = b"") -> bytes:
    """Return the key in a format, encrypted where there is a passphrase."""
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return AUTHORITY.key.private_bytes(serialization.Encoding.PEM, format, encryption)


BROKEN = {
    "empty": b"",
    "cut": key()[:300],
    "no certificate": key(),
    "no key": CERTIFICATE,
    "half a certificate": key() + CERTIFICATE[:300],
    "text": b"\xff\0 not PEM",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_mitmproxy_fails_at_is_refused_in_a_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises((ValueError, IndexError)):
        CertStore.from_store(tmp_path, "mitmproxy", 2048)
    line = refusal(tmp_path)
    assert line.startswith(f"{tmp_path}/{KEY_FILE} is not a key with its certificate: ")
    assert "; restore it, or delete every mitmproxy-ca* there" in line


@pytest.mark.parametrize("format", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=str)
@pytest.mark.parametrize(("of_key", "said"), [(b"", None), (b"", "any"), (b"right", "right")], ids=repr)
def test_what_mitmproxy_takes_is_taken(tmp_path: Path, format: PrivateFormat, of_key: bytes, said: str | None) -> None:
    (tmp_path / KEY_FILE).write_bytes(key(format, of_key) + CERTIFICATE)
    CertStore.from_store(tmp_path, "mitmproxy", 2048, said.encode() if said else None)
    assert not refusal(tmp_path, said)


@pytest.mark.parametrize("format", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=str)
@pytest.mark.parametrize("said", [None, "wrong"])
def test_a_wrong_passphrase_is_no_broken_file(tmp_path: Path, format: PrivateFormat, said: str | None) -> None:
    (tmp_path / KEY_FILE).write_bytes(key(format, b"right") + CERTIFICATE)
    with pytest.raises((ValueError, TypeError)):
        CertStore.from_store(tmp_path, "mitmproxy", 2048, said.encode() if said else None)
    line = refusal(tmp_path, said)
    assert line.startswith(f"{tmp_path}/{KEY_FILE} has a passphrase, which --set cert_passphrase must give: ")
    assert "delete" not in line


def test_a_confdir_is_needed_until_all_is_in_it(tmp_path: Path) -> None:
    assert not refusal(tmp_path / "new/one")
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file").startswith(f"confdir {tmp_path}/file: File exists; --set confdir=FOLDER")


def with_text(folder: Path) -> str:
    """Make a confdir whose CA is no CA."""
    (folder / KEY_FILE).write_text("text")
    return str(folder)


def without_place(folder: Path) -> str:
    """Name a confdir that cannot be made."""
    return f"{with_text(folder)}/{KEY_FILE}/below"


@pytest.mark.parametrize("bad", [with_text, without_place])
async def test_a_change_to_it_is_refused_while_running(tmp_path: Path, bad: Callable[[Path], str]) -> None:
    good = tmp_path / "good"
    write_authority(good, AUTHORITY)
    (good / DH_FILE).touch()
    check = ConfdirCheck()
    with taddons.context(check) as context:
        context.configure(check, confdir=str(good))
        with pytest.raises(exceptions.OptionsError):
            context.options.update(confdir=bad(tmp_path))
        assert context.options.confdir == str(good)


def test_other_options_do_not_read_it(tmp_path: Path) -> None:
    check = ConfdirCheck()
    with taddons.context() as context:
        context.options.update(confdir=with_text(tmp_path))
        check.configure({"key_size"})


@pytest.mark.parametrize(
    ("option", "name", "refusal"),
    [
        (FILE, "absent", "No such file or directory"),
        (FILE, "text", "no certificates in PEM format"),
        (FILE, "empty", "no certificates in PEM format"),
        (FOLDER, "absent", "No such file or directory"),
        (FOLDER, "text", "Not a directory"),
        (FOLDER, "", ""),
        ("client_certs", "text", "no private key and certificate in PEM format"),
        ("client_certs", "", ""),
    ],
)
async def test_what_cannot_be_loaded_is_refused(option: str, name: str, refusal: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    (tmp_path / "empty").touch()
    path = str(tmp_path / name)
    check = TlsOptionsCheck()
    with taddons.context(check) as context:
        if not refusal:
            context.configure(check, **{option: path})
            return
        with pytest.raises(exceptions.OptionsError, match=f"^option {option}='{path}': {refusal}$"):
            context.options.update(**{option: path})
        assert getattr(context.options, option) is None


async def test_certificates_and_no_file_are_accepted(ca_file: Path) -> None:
    check = TlsOptionsCheck()
    with taddons.context(check) as context:
        for path in (str(ca_file), None):
            context.configure(check, **{FILE: path})


@pytest.mark.parametrize("option", ["ciphers_client", "ciphers_server"])
async def test_ciphers_that_do_not_exist_are_refused(option: str) -> None:
    check = TlsOptionsCheck()
    with taddons.context(check, TlsConfig()) as context:
        context.configure(check, **{option: "ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA"})
        with pytest.raises(exceptions.OptionsError, match=f"^option {option}='FOO': OpenSSL knows no such cipher"):
            context.options.update(**{option: "FOO"})


async def test_a_client_certificate_with_its_key_is_accepted(tmp_path: Path) -> None:
    identity, other = trustme.CA().issue_cert("client.test"), trustme.CA().issue_cert("other.test")
    whole, mixed = tmp_path / "client.pem", tmp_path / "mixed.pem"
    identity.private_key_and_cert_chain_pem.write_to_path(whole)
    mixed.write_bytes(identity.private_key_pem.bytes() + other.cert_chain_pems[0].bytes())
    check = TlsOptionsCheck()
    with taddons.context(check) as context:
        context.configure(check, client_certs=str(whole))
        with pytest.raises(exceptions.OptionsError, match="no private key and certificate"):
            context.options.update(client_certs=str(mixed))
