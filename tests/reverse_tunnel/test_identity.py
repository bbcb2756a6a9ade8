"""Certificates and secrets on disk."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from proxy_policies.reverse_tunnel import certificates, identity
from proxy_policies.reverse_tunnel.identity import Mode


def test_missing_certificates_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no certificate in .*nowhere; make one with: .*proxy-policies certs tunnel home NAME"
    ):
        identity.load("home", str(tmp_path / "nowhere"), "")


def test_unusable_certificates(tmp_path: Path) -> None:
    folder = certificates.make("work", "office", tmp_path / "work")
    (folder / "key.pem").write_bytes((certificates.make("work", "lab", tmp_path / "lab") / "key.pem").read_bytes())
    with pytest.raises(ValueError, match="cannot use"):
        identity.load("work", str(folder), "")
    (folder / "cert.pem").write_text("nothing")
    with pytest.raises(ValueError, match="cannot use"):
        identity.load("work", str(folder), "")


def test_an_expired_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "LIFE", datetime.timedelta(seconds=-1))
    with pytest.raises(ValueError, match="invalid or expired"):
        identity.load("work", str(certificates.make("work", "office", tmp_path / "work")), "")


@pytest.mark.parametrize(("kind", "other"), [("home", "work"), ("work", "home")])
def test_a_certificate_of_the_other_kind(tmp_path: Path, kind: str, other: str) -> None:
    folder = certificates.make(other, "paris", tmp_path / "there")
    with pytest.raises(ValueError, match=f"of paris in .* is not for a {kind}; make one .*with: .* tunnel {kind} NAME"):
        identity.load(kind, str(folder), "")


def test_a_certificate_for_anything_is_for_either(tmp_path: Path) -> None:
    assert certificates.kinds_of(certificates.make_tunnel_authority().certificate) == ["home", "work"]


def test_secrets(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("  a secret of some length\n")
    by_file = identity.load("work", "secret", f"@{file}")
    by_text = identity.load("work", "secret", "a secret of some length")
    assert by_file.mode is Mode.SECRET
    assert by_file.key == by_text.key
    assert by_file.key != identity.load("work", "secret", "another secret altogether").key


@pytest.mark.parametrize("secret", ["", "hunter2", "@/does/not/exist"])
def test_bad_secrets_are_not_quoted(secret: str) -> None:
    with pytest.raises(ValueError, match="secret") as error:
        identity.load("home", "secret", secret)
    assert "hunter2" not in str(error.value)


def test_a_relative_folder_is_looked_for_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = Path(__file__).parents[2]
    assert identity.find_folder("certs/home") == project / "certs" / "home"
    (tmp_path / "certs" / "home").mkdir(parents=True)
    assert identity.find_folder("certs/home") == Path("certs/home")


def test_a_work_is_sent_home_for_its_certificate(tmp_path: Path) -> None:
    """Made at work it would be of another authority."""
    with pytest.raises(
        ValueError, match="make one at home with: proxy-policies certs tunnel work NAME, and copy its folder"
    ):
        identity.load("work", str(tmp_path / "nowhere"), "")


def test_the_end_is_said_a_month_before(tmp_path: Path) -> None:
    loaded = identity.load("work", str(certificates.make("work", "office", tmp_path / "work")), "")
    assert loaded.ends
    for days, warns in ((31, False), (29, True), (1, True)):
        warning = identity.expiry_warning("work", loaded, loaded.ends - datetime.timedelta(days=days))
        assert bool(warning) is warns
        if warns:
            assert warning.startswith(f"work: the certificate of office ends on {loaded.ends:%Y-%m-%d}; make one at")
    assert identity.expiry_warning("home", identity.NO_CREDENTIALS, datetime.datetime.now(datetime.UTC)) == ""


def test_what_changes_on_disk_is_seen(tmp_path: Path) -> None:
    folder = certificates.make("work", "office", tmp_path / "work")
    before = identity.file_states(str(folder))
    assert before == identity.file_states(str(folder)) != ()
    certificates.make("work", "office", folder)
    assert identity.file_states(str(folder)) != before
    assert identity.file_states("secret") == identity.file_states(str(tmp_path / "nowhere")) == ()


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        ("aaaaaaaaaaaa", True),
        ("123456789012", True),
        ("password1234", True),
        ("passwordpassword", True),
        ("ein langes gutes Kennwort fuer daheim", False),
        ("9f2c41d07ab35e8846c1d92be07f35aa", False),
        ("Zk3+fQ9xTbL0a7Wd", False),
        ("пароль из многих слов", False),
    ],
)
def test_a_weak_secret_is_known_as_one(secret: str, expected: bool) -> None:
    assert identity.load("home", "secret", secret).is_guessable is expected
    assert identity.load("work", "secret", secret).is_guessable is expected
