"""Confdirs and CAs that mitmproxy cannot use."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import PrivateFormat
from mitmproxy import exceptions
from mitmproxy.certs import CertStore
from mitmproxy.test import taddons

from proxy_policies.certificates.authority import DH_FILE, KEY_FILE, make_authority, write_authority
from proxy_policies.certificates.confdir_check import ConfdirCheck

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
