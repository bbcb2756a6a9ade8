"""Who an end of the tunnel is, as its files on disk change."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from proxy_policies.reverse_tunnel import certificates, identity
from proxy_policies.reverse_tunnel.identity import Credentials, Mode
from proxy_policies.reverse_tunnel.reloaded_credentials import ReloadedCredentials


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return certificates.make("home", "paris", tmp_path / "paris")


def test_no_identity_before_it_is_loaded() -> None:
    followed = ReloadedCredentials("home", lambda _: None)
    assert followed.current.mode is Mode.NONE
    assert not followed.reload_if_changed("none", "")


def test_a_renewed_certificate_is_shown_once(folder: Path) -> None:
    renewed: list[Credentials] = []
    followed = ReloadedCredentials("home", renewed.append)
    followed.load(str(folder), "")
    followed.load(str(folder), "")
    first = followed.current
    assert not renewed
    certificates.make("home", "paris", folder)
    assert not followed.reload_if_changed(str(folder), "")
    assert renewed == [followed.current]
    assert followed.current is not first
    assert not followed.reload_if_changed(str(folder), "")
    assert len(renewed) == 1


@pytest.mark.parametrize("kind", ["home", "work"])
def test_a_secret_that_is_read_again_is_new_only_if_it_has_changed(kind: str, tmp_path: Path) -> None:
    """SIGHUP reads all files again; new credentials would disconnect every work."""
    file = tmp_path / "secret"
    file.write_text("a" * 40)
    followed = ReloadedCredentials(kind, lambda _: None)
    followed.load("secret", f"@{file}")
    first = followed.current
    followed.load("secret", f"@{file}")
    assert followed.current is first
    file.write_text("b" * 40)
    followed.load("secret", f"@{file}")
    second = followed.current
    assert (second.mode, second.key == first.key) == (Mode.SECRET, False)
    followed.load("none", "")
    assert followed.current.mode is Mode.NONE


def test_another_name_is_another_end(folder: Path, tmp_path: Path) -> None:
    renewed: list[Credentials] = []
    followed = ReloadedCredentials("home", renewed.append)
    followed.load(str(folder), "")
    other = certificates.make("home", "lyon", tmp_path / "lyon")
    for file in folder.iterdir():
        if (other / file.name).is_file():
            file.write_bytes((other / file.name).read_bytes())
    assert followed.reload_if_changed(str(folder), "")
    assert (followed.current.name, renewed) == ("lyon", [])


def test_the_old_one_is_good_while_the_new_one_is_not(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    followed = ReloadedCredentials("home", lambda _: None)
    followed.load(str(folder), "")
    first = followed.current
    (folder / certificates.CERT).write_text("half of a certifi")
    assert not followed.reload_if_changed(str(folder), "")
    assert not followed.reload_if_changed(str(folder), "")
    assert followed.current is first
    assert caplog.text.count("the certificate has changed on disk and cannot be loaded") == 1


def test_unreadable_credentials_are_reported_and_the_old_ones_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def forbidden(tls: str) -> None:
        raise PermissionError(13, "Permission denied", tls)

    followed = ReloadedCredentials("home", lambda _: None)
    monkeypatch.setattr(identity, "file_states", forbidden)
    with pytest.raises(ValueError, match="Permission denied"):
        followed.load(str(folder), "")
    assert not followed.is_known
    monkeypatch.undo()
    followed.load(str(folder), "")
    first = followed.current
    assert first.mode is Mode.CERTIFICATES
    monkeypatch.setattr(identity, "file_states", forbidden)
    assert not followed.reload_if_changed(str(folder), "")
    assert followed.current is first
    assert "cannot be loaded: home_tls=" in caplog.text


def test_a_certificate_without_a_name_is_refused(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([]), datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + datetime.timedelta(days=1))
    (folder / certificates.CERT).write_bytes(made.sign(key, SHA256()).public_bytes(Encoding.PEM))
    (folder / certificates.KEY).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    followed = ReloadedCredentials("home", lambda _: None)
    with pytest.raises(ValueError, match="no common name"):
        followed.load(str(folder), "")
    assert not followed.is_known
