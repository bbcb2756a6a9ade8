"""The authority and the tunnel's certificates; who trusts the authority is in tests/e2e/doctor."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy_policies.certificates import authority, own_folder
from proxy_policies.certificates.name_constraints import parse_permitted
from proxy_policies.doctor.certificates import look_at_authority, look_at_trust, look_at_tunnel
from proxy_policies.doctor.finding import Level
from proxy_policies.reverse_tunnel import certificates

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("made", "level"),
    [
        (NOW, Level.OK),
        (NOW - authority.LIFETIME + timedelta(days=20), Level.WARN),
        (NOW - authority.LIFETIME - timedelta(days=1), Level.FAIL),
    ],
    ids=["valid", "ends soon", "has ended"],
)
def test_an_authority_by_its_end(tmp_path: Path, made: datetime, level: Level) -> None:
    authority.write_authority(tmp_path, authority.make_authority("ours", made))
    (found,) = look_at_authority(tmp_path)
    assert found.level is level


def test_an_authority_for_some_domains(tmp_path: Path) -> None:
    authority.write_authority(tmp_path, authority.make_authority("ours", NOW, [parse_permitted("example.com")]))
    (found,) = look_at_authority(tmp_path)
    assert found.text.startswith("ours, only for example.com, until ")


def test_a_key_that_others_can_read(tmp_path: Path) -> None:
    authority.write_authority(tmp_path, authority.make_authority("ours", NOW))
    (tmp_path / authority.KEY_FILE).chmod(0o644)
    assert "chmod 600" in next(look_at_authority(tmp_path)).advice
    assert not list(look_at_trust(tmp_path))
    (tmp_path / authority.KEY_FILE).write_text("nonsense")
    assert next(look_at_authority(tmp_path)).level is Level.FAIL
    assert not list(look_at_trust(tmp_path)), "one failure is enough"


def test_a_key_with_a_passphrase_is_mitmproxys_to_read(tmp_path: Path) -> None:
    (tmp_path / authority.KEY_FILE).write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    (found,) = look_at_authority(tmp_path)
    assert (found.level, "has a passphrase" in found.text) == (Level.OK, True)
    assert not list(look_at_trust(tmp_path))


def test_none_yet_is_all_right(tmp_path: Path) -> None:
    (found,) = look_at_authority(tmp_path)
    assert found.level is Level.OK
    assert not list(look_at_trust(tmp_path))


def test_nowhere_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for confdir in (tmp_path / "file", tmp_path / "file" / "below"):
        (found,) = look_at_authority(confdir)
        assert (found.level, "confdir=FOLDER" in found.advice) == (Level.FAIL, True)
    (found,) = look_at_authority(tmp_path / "new" / "one")
    assert (found.level, (tmp_path / "new").exists()) == (Level.OK, False)


def test_the_tunnels_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_folder, "certificates_folder", lambda: tmp_path)
    assert not list(look_at_tunnel())
    certificates.make("home", "paris", tmp_path / "home")
    (tmp_path / "work").mkdir()
    home, work = look_at_tunnel()
    assert (home.level, work.level) == (Level.OK, Level.FAIL)
    assert "certificate of paris, until " in home.text
    assert "proxy-policies certs tunnel work" in work.text
